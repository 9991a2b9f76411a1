#pragma once

/// @file
/// What one consumer of a queue holds: deliveries fetched ahead, and those handed out.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bus/core.hpp"

#include <levada/queue.hpp>
#include <levada/record_batch.hpp>

namespace levada {

class transaction_part;

/// Shared between the consumer's handle and its queue, so that closing the bus knows what is unsettled. Safe
/// to share.
class queue_consumer_state : public std::enable_shared_from_this<queue_consumer_state> {
 public:
  /// Registers with the queue and exposes its entries (see queue_row::exposed).
  [[nodiscard]] static result<std::shared_ptr<queue_consumer_state>> start(
      std::shared_ptr<core> owner, std::shared_ptr<queue_slot> queue, const queue_consumer_options& options);

  [[nodiscard]] result<std::optional<delivery>> receive(std::chrono::milliseconds timeout);
  [[nodiscard]] result<void> settle(const char* verb, std::span<const delivery_tag> tags);
  [[nodiscard]] result<void> settle_up_to(const char* verb, delivery_tag tag);
  [[nodiscard]] result<void> put_back(delivery_tag tag);

  void start_receive(std::chrono::milliseconds timeout, detail::completion<std::optional<delivery>> done);
  using entries = std::map<delivery_tag, queue::taken_entry>;
  /// Takes deliveries that are about to be settled.
  [[nodiscard]] result<entries> take(const char* verb, std::span<const delivery_tag> tags);
  [[nodiscard]] result<entries> take_up_to(const char* verb, delivery_tag tag);
  void start_settle(const char* verb, result<entries> taken, detail::completion<void> done);
  /// Settles a delivery with a transaction.
  [[nodiscard]] result<std::unique_ptr<transaction_part>> make_part(const char* verb, delivery_tag tag);
  void start_put_back(delivery_tag tag, detail::completion<void> done);

  [[nodiscard]] const std::string& queue() const noexcept { return queue_->state.name(); }
  /// Leaves the queue. Idempotent.
  void close();
  /// Returns everything unsettled to the queue and takes nothing more.
  void give_back();

  queue_consumer_state(std::shared_ptr<core> owner, std::shared_ptr<queue_slot> queue,
                       const queue_consumer_options& options)
      : owner_{std::move(owner)}, queue_{std::move(queue)}, options_{options} {}

 private:
  struct fetched {
    queue::taken_entry entry;
    record_view record;
    std::shared_ptr<const record_batch> bytes;
  };

  [[nodiscard]] std::string operation(const char* verb) const;
  [[nodiscard]] result<void> check_open(const char* verb) const;                         // mutex_ is held
  [[nodiscard]] result<void> check_unsettled(const char* verb, delivery_tag tag) const;  // mutex_ is held
  [[nodiscard]] result<void> fetch(const core::access& access);                          // mutex_ is held
  /// Returns a delivery.
  void requeue(const queue::taken_entry& entry);
  class submitted_settlement;
  class settle_part;
  /// What a receive returns now; nothing where it has to wait.
  [[nodiscard]] std::optional<result<std::optional<delivery>>> look(clock::steady_time deadline);
  [[nodiscard]] result<void> settle_taken(const core::access& access, const char* verb,
                                          result<entries> taken);
  /// After it has been decided whether they are settled.
  void decided(entries taken, bool settled);

  const std::shared_ptr<core> owner_;
  const std::shared_ptr<queue_slot> queue_;
  const queue_consumer_options options_;
  const std::shared_ptr<waiter> waiter_ = std::make_shared<waiter>();

  mutable std::mutex mutex_;
  std::deque<fetched> ahead_;
  std::map<delivery_tag, queue::taken_entry> unsettled_;
  std::size_t settling_ = 0;  // on their way to disk: still count against the prefetch limit
  std::uint64_t last_tag_ = 0;
  bool closed_ = false;
};

}  // namespace levada
