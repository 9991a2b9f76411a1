#pragma once

/// @file
/// Taking messages from queues: deliveries, acknowledgement, anonymous queues.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/options.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// One message handed to one consumer, to be settled by `queue_consumer::ack` or `nack`. Owns the bytes that
/// its record borrows, also beyond consumer and bus. Destroying it settles nothing. Cheap to copy; reading
/// one object from several threads is safe.
class LEVADA_EXPORT delivery {
 public:
  /// The message. Borrowed from this delivery or any copy of it.
  [[nodiscard]] const record_view& record() const noexcept { return record_; }
  [[nodiscard]] delivery_tag tag() const noexcept { return tag_; }
  /// Whether the message may have been delivered before: true after a requeue and, for messages that a
  /// consumer may have seen, after a restart. False means certainly not.
  [[nodiscard]] bool redelivered() const noexcept { return redelivered_; }

 private:
  friend struct detail::record_access;
  record_view record_;
  std::shared_ptr<const void> bytes_;
  delivery_tag tag_;
  bool redelivered_ = false;
};

/// Whether a refused message returns to its queue.
enum class requeue : bool {
  /// It is discarded, as RabbitMQ does where no dead-letter exchange is set.
  no = false,
  /// It returns to its original position and is delivered again, flagged as redelivered.
  yes = true,
};

/// A consumer of a queue. Several consumers of one queue compete: each message goes to one of them. From
/// `bus::consume` or `anonymous_queue::consume`.
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
  /// Refuses a delivery. With `requeue::yes` it is ready again at once; with `requeue::no` it is discarded,
  /// durably on return.
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
  /// Stops consuming. Idempotent.
  void close() noexcept;

 private:
  friend class bus;
  friend class anonymous_queue;
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

/// An exclusive queue with a made-up name, which lives as long as this handle: destroying the handle, closing
/// the bus, or the next opening after a crash deletes it with its bindings. From
/// `bus::declare_anonymous_queue`; bind it with `bus::bind` under `name()`. Move-only; safe to use from
/// several threads.
class LEVADA_EXPORT anonymous_queue {
 public:
  anonymous_queue(anonymous_queue&&) noexcept;
  anonymous_queue& operator=(anonymous_queue&&) noexcept;
  ~anonymous_queue();

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] result<queue_consumer> consume(const queue_consumer_options& options = {}) const;
  /// Deletes the queue; its consumers end with `errc::closed`. Idempotent.
  [[nodiscard]] result<void> close();

 private:
  friend class bus;
  class impl;
  explicit anonymous_queue(std::unique_ptr<impl> self) noexcept;
  std::unique_ptr<impl> impl_;
};

}  // namespace levada
