#pragma once

/// @file
/// What one consumer of a queue holds: deliveries fetched ahead, and those handed out.

#include <atomic>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bus/core.hpp"
#include "bus/prefetch_scope_impl.hpp"

#include <levada/queue.hpp>
#include <levada/record_batch.hpp>

namespace levada {

class transaction_part;

/// How a delivery is settled.
enum class settling : std::uint8_t { done, rejected };
/// For messages.
[[nodiscard]] constexpr const char* verb_of(settling how) noexcept {
  return how == settling::done ? "ack" : "reject";
}

/// Shared between the consumer's handle and its queue, so that closing the bus knows what is unsettled. Safe
/// to share.
class queue_consumer_state : public std::enable_shared_from_this<queue_consumer_state> {
 public:
  /// Registers with the queue and exposes its entries (see queue_row::exposed).
  [[nodiscard]] static result<std::shared_ptr<queue_consumer_state>> start(
      std::shared_ptr<core> owner, std::shared_ptr<queue_slot> queue, const queue_consumer_options& options);

  [[nodiscard]] result<std::optional<delivery>> receive(std::chrono::milliseconds timeout);
  [[nodiscard]] result<void> settle(settling how, std::span<const delivery_tag> tags);
  [[nodiscard]] result<void> settle_up_to(settling how, delivery_tag tag);
  [[nodiscard]] result<void> put_back(delivery_tag tag);

  /// What there is now, without waiting; nothing while a commit is under way at whose end there is more.
  [[nodiscard]] std::optional<result<std::optional<delivery>>> receive_now() {
    return look(clock::steady_time::min()).answer;
  }
  void start_receive(std::chrono::milliseconds timeout, detail::completion<std::optional<delivery>> done);
  using entries = std::map<delivery_tag, queue::taken_entry>;
  /// Takes deliveries that are about to be settled.
  [[nodiscard]] result<entries> take(const char* verb, std::span<const delivery_tag> tags);
  [[nodiscard]] result<entries> take_up_to(const char* verb, delivery_tag tag);
  void start_settle(settling how, result<entries> taken, detail::completion<void> done);
  /// Settles a delivery with a transaction.
  [[nodiscard]] result<std::unique_ptr<transaction_part>> make_part(settling how, delivery_tag tag);
  void start_put_back(delivery_tag tag, detail::completion<void> done);

  [[nodiscard]] const std::string& queue() const noexcept { return queue_->state.name(); }
  /// How many deliveries are not settled, those on their way to be included.
  [[nodiscard]] std::size_t unsettled() const;
  /// Takes nothing more: to receive fails with `closed`.
  void stop_taking();
  /// Leaves the queue, but for what it holds, which can still be settled. The queue is deleted if it goes
  /// with its last consumer. Idempotent.
  void cancel() { leave(parting::with_deliveries); }
  /// Leaves the queue, and gives back what it holds. Idempotent.
  void close() { leave(parting::without); }
  /// Returns everything unsettled to the queue, and here, and takes nothing more.
  std::vector<queue::taken_entry> give_back();

  queue_consumer_state(std::shared_ptr<core> owner, std::shared_ptr<queue_slot> queue,
                       const queue_consumer_options& options)
      : owner_{std::move(owner)},
        queue_{std::move(queue)},
        options_{options},
        scope_{options.scope ? options.scope->impl_ : nullptr},
        room_{options.prefetch > 0 ? options.prefetch : std::numeric_limits<std::uint64_t>::max()} {}

 private:
  class postponing;
  enum class parting : bool { with_deliveries, without };
  struct fetched {
    queue::taken_entry entry;
    record_view record;
    std::shared_ptr<const record_batch> bytes;
  };

  /// After consumers of a queue have come or gone, whose mutex is held.
  static void arrange(queue_slot& queue);
  [[nodiscard]] std::string operation(const char* verb) const;
  /// How many more it could take, were there any.
  [[nodiscard]] std::uint64_t room() const;
  /// How many entries it may take of what is ready, beside the queue's other consumers. Not with mutex_ held.
  [[nodiscard]] std::size_t share_of_ready() const;
  [[nodiscard]] result<void> check_open(const char* verb) const;                         // mutex_ is held
  [[nodiscard]] result<void> check_unsettled(const char* verb, delivery_tag tag) const;  // mutex_ is held
  // With mutex_ held:
  /// Entries of the queue, as many as the prefetch limit allows.
  [[nodiscard]] result<std::vector<queue::taken_entry>> take_some(const core::access& access,
                                                                  std::size_t most);
  /// Reads their messages.
  [[nodiscard]] result<void> fetch(const core::access& access, const std::vector<queue::taken_entry>& taken);
  [[nodiscard]] std::optional<delivery> hand_out();
  void return_ahead();
  /// After something has come or gone: of what its limits allow, how much is left.
  void note_room() noexcept;
  /// When a delivery will have been unsettled for too long.
  void note_deadline(delivery_tag tag);
  /// Rings when the first of them is due.
  void watch_deadlines();

  /// After a commit that counts deliveries.
  void acquired(std::vector<queue::taken_entry> taken, result<void> outcome) noexcept;
  [[nodiscard]] result<void> take_back(delivery_tag tag);
  /// Takes a delivery that is to wait before it is ready again; null where it is not.
  [[nodiscard]] result<std::unique_ptr<postponing>> postpone(delivery_tag tag);
  void leave(parting how);
  void delete_unused();
  /// The wait of a delivery that is returned, in microseconds; 0: none.
  [[nodiscard]] std::int64_t wait_of(const queue::taken_entry& entry) const;
  /// Returns a delivery.
  void requeue(queue::taken_entry entry);
  /// For the flow ledger, some time.
  void note_returned(std::vector<queue::taken_entry> returned) const;
  class acquisition;
  class return_note;
  class trimming;
  /// Closes it if a delivery has been unsettled for too long.
  void look_at_deadlines();
  class submitted_settlement;
  class settle_part;
  struct finding {
    /// What a receive returns now; nothing where it has to wait.
    std::optional<result<std::optional<delivery>>> answer;
    /// Whether a commit is under way at whose end there is something, so that it is waited for in any case.
    bool acquiring = false;
  };
  [[nodiscard]] finding look(clock::steady_time deadline);
  [[nodiscard]] result<void> settle_taken(const core::access& access, settling how, result<entries> taken);
  /// After it has been decided whether they are settled.
  void decided(entries taken, bool settled);

  const std::shared_ptr<core> owner_;
  const std::shared_ptr<queue_slot> queue_;
  const queue_consumer_options options_;
  const std::string receiving_ = operation("receive");
  const std::shared_ptr<prefetch_scope::impl> scope_;  // null: none
  const std::shared_ptr<waiter> waiter_ = std::make_shared<waiter>();

  mutable std::mutex mutex_;
  std::deque<fetched> ahead_;
  std::size_t acquiring_ = 0;                 // by a commit that is under way
  std::vector<queue::taken_entry> acquired_;  // by one that is over, to be read
  std::optional<error> not_acquired_;
  std::map<delivery_tag, queue::taken_entry> unsettled_;
  std::size_t settling_ = 0;  // on their way to disk: still count against the prefetch limit
  std::uint64_t last_tag_ = 0;
  /// By when deliveries have to be settled, in the order in which they were handed out; some are.
  std::deque<std::pair<delivery_tag, clock::steady_time>> deadlines_;
  bool watched_ = false;  // somebody looks at the first of them
  bool timed_out_ = false;
  bool cancelled_ = false;
  bool closed_ = false;
  std::uint64_t scope_places_ = 0;  // that it has in `scope_`
  /// For other consumers of the queue, to whom this one comes first: what its own limit allows.
  std::atomic<std::uint64_t> room_;

  bool left_ = false;  // the queue's consumers_mutex guards it
};

}  // namespace levada
