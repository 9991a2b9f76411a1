#pragma once

/// @file
/// Taking messages from queues: acknowledgement, exclusive queues.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <levada/delivery.hpp>
#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/options.hpp>
#include <levada/push_consumer.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// Whether a refused message returns to its queue.
enum class requeue : bool {
  /// It becomes a dead letter, or is discarded where its queue has no dead-letter exchange (AMQP's reject).
  no = false,
  /// It returns to its original position and is delivered again, flagged as redelivered.
  yes = true,
};

/// A consumer of a queue. Several consumers of one queue compete: each message goes to one of them. From
/// `bus::consume` or `exclusive_queue::consume`.
///
/// Move-only. `receive` from one thread at a time; settling from any thread, also while another receives.
/// Closing or destroying it returns its unsettled deliveries to the queue, flagged as redelivered. Calls fail
/// with `errc::closed` once consumer or bus is closed.
class LEVADA_EXPORT queue_consumer {
 public:
  queue_consumer(queue_consumer&&) noexcept;
  queue_consumer& operator=(queue_consumer&&) noexcept;
  ~queue_consumer();

  /// Takes the next message; waits up to `timeout` for one, and for the prefetch limit to allow it. An empty
  /// optional means that none came in time. Fails with `damaged` where stored bytes fail their checksum; the
  /// message then stays unsettled at the head of the queue.
  [[nodiscard]] result<std::optional<delivery>> receive(std::chrono::milliseconds timeout);

  /// Settles a delivery for good. Durable on return: it never comes back. Fails with `unknown_delivery` for a
  /// tag that is not an unsettled delivery of this consumer.
  [[nodiscard]] result<void> ack(delivery_tag tag);
  [[nodiscard]] result<void> ack(const delivery& d) { return ack(d.tag()); }
  /// Settles several deliveries in one commit, or none of them when a tag is unknown.
  [[nodiscard]] result<void> ack(std::span<const delivery_tag> tags);
  /// Settles all unsettled deliveries up to and including `tag` (AMQP's `multiple`) in one commit. `tag`
  /// itself must be unsettled.
  [[nodiscard]] result<void> ack_up_to(delivery_tag tag);
  /// Refuses a delivery. With `requeue::yes` it is ready again, at once or as the queue's `redelivery_delay`
  /// says, which is then durable on return; where the queue's `delivery_limit` is reached, it leaves the
  /// queue soon after. With `requeue::no` it leaves the queue, durably on return.
  [[nodiscard]] result<void> nack(delivery_tag tag, requeue what = requeue::yes);
  [[nodiscard]] result<void> nack(const delivery& d, requeue what = requeue::yes) {
    return nack(d.tag(), what);
  }

  /// The same without waiting, for any completion token of the signature
  /// `void(result<std::optional<delivery>>)` or `void(result<void>)`. A receive that is cancelled through the
  /// token's slot, in the handler's executor, ends with `errc::operation_aborted`, and takes nothing. See
  /// <levada/async.hpp>, which defines these.
  template <class Token>
  auto async_receive(std::chrono::milliseconds timeout, Token&& token);
  template <class Token>
  auto async_ack(delivery_tag tag, Token&& token);
  template <class Token>
  auto async_ack(std::vector<delivery_tag> tags, Token&& token);
  template <class Token>
  auto async_ack_up_to(delivery_tag tag, Token&& token);
  template <class Token>
  auto async_nack(delivery_tag tag, requeue what, Token&& token);

  [[nodiscard]] const std::string& queue() const noexcept;
  /// Takes nothing more, as if it had gone, but for what it holds, which can still be settled (AMQP's
  /// `basic.cancel`): `receive` fails with `closed`. Idempotent.
  void cancel() noexcept;
  /// Stops consuming. Idempotent.
  void close() noexcept;

 private:
  friend class bus;
  friend class exclusive_queue;
  friend class transaction;
  class impl;
  enum class settlement : std::uint8_t { ack, ack_up_to, discard, put_back };
  template <class Token>
  auto async_settle(std::vector<delivery_tag> tags, settlement how, Token&& token);
  static void start_receive(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                            detail::completion<std::optional<delivery>> done);
  static void start_settle(const std::shared_ptr<impl>& self, const std::vector<delivery_tag>& tags,
                           settlement how, detail::completion<void> done);
  explicit queue_consumer(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

/// A queue of one owner, who alone can consume it, and which lives as long as this handle: destroying the
/// handle, closing the bus, or the next opening after a crash deletes it with its bindings. From
/// `bus::declare_exclusive_queue` or `bus::declare_anonymous_queue`; bind it with `bus::bind` under `name()`.
/// Move-only; safe to use from several threads.
class LEVADA_EXPORT exclusive_queue {
 public:
  exclusive_queue(exclusive_queue&&) noexcept;
  exclusive_queue& operator=(exclusive_queue&&) noexcept;
  ~exclusive_queue();

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] result<queue_consumer> consume(const queue_consumer_options& options = {}) const;
  /// Has each message handled: see `push_consumer`, and `bus::consume`.
  template <class Handler>
  requires detail::handles_deliveries<Handler>
  [[nodiscard]] result<push_consumer> consume(Handler handler,
                                              const push_consumer_options& options = {}) const {
    return start_consuming(std::move(handler), options);
  }
  /// Deletes the queue; its consumers end with `errc::closed`. Idempotent.
  [[nodiscard]] result<void> close();

 private:
  friend class bus;
  class impl;
  [[nodiscard]] result<push_consumer> start_consuming(delivery_handler handler,
                                                      const push_consumer_options& options) const;
  [[nodiscard]] result<push_consumer> start_consuming(async_delivery_handler handler,
                                                      const push_consumer_options& options) const;
  explicit exclusive_queue(std::unique_ptr<impl> self) noexcept;
  std::unique_ptr<impl> impl_;
};

}  // namespace levada
