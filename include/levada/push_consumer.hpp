#pragma once

/// @file
/// Having a function called for each message of a queue.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

#include <levada/delivery.hpp>
#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>

namespace levada {

/// Handles one message. What it returns says whether it is done: then it is acknowledged. What it throws is a
/// failure too (`errc::handler_failed`).
using delivery_handler = std::function<result<void>(const delivery&)>;

/// A delivery that is being handled, to be answered once, in any thread: by a handler that goes on after it
/// has returned. Destroyed without an answer, it answers that handling has failed (`errc::handler_failed`).
/// Move-only.
class LEVADA_EXPORT delivery_handling {
 public:
  class impl;
  explicit delivery_handling(std::unique_ptr<impl> self) noexcept;
  delivery_handling(delivery_handling&&) noexcept;
  delivery_handling& operator=(delivery_handling&&) noexcept;
  ~delivery_handling();

  [[nodiscard]] const levada::delivery& delivery() const noexcept;
  /// The message is done, or its handling has failed. What is called after the first time changes nothing.
  void answer(result<void> outcome = {});

 private:
  std::unique_ptr<impl> impl_;
};

/// Begins to handle one message, and returns without waiting for it. What it throws is dropped, and with it a
/// delivery that it holds.
using async_delivery_handler = std::function<void(delivery_handling)>;

namespace detail {

/// Whether it is a handler of one of the two kinds. Asked before a `std::function` is made, as braced options
/// are none, and are not to be looked at as if they were.
template <class Handler>
concept handles_deliveries =
    std::is_invocable_v<Handler&, const delivery&> || std::is_invocable_v<Handler&, delivery_handling>;

}  // namespace detail

/// A consumer of a queue that has each message handled by a function (AMQP's `basic.consume`), up to so many
/// at a time. From `bus::consume` or `exclusive_queue::consume`.
///
/// A message is acknowledged when its handler has succeeded; where it fails, or throws, what happens to it is
/// for `push_consumer_options::on_failed_delivery` to say. What is acknowledged is settled a moment after the
/// handler has answered: until then it counts against the prefetch limit, and a crash brings it back. With
/// one worker messages are handled one after the other, in the order of the queue. Taking them needs no
/// thread of its own.
///
/// A message whose handler ends the process comes back when the store is opened again; under
/// `queue_options::delivery_limit` it does so only so often, as handing out is counted before the handler is
/// called.
///
/// Handlers may call the bus, and wait; a slow one keeps one place of `workers`.
///
/// Move-only. Safe to use from several threads.
class LEVADA_EXPORT push_consumer {
 public:
  class impl;
  push_consumer(push_consumer&&) noexcept;
  push_consumer& operator=(push_consumer&&) noexcept;
  /// Closes it.
  ~push_consumer();

  /// Takes nothing more, waits for handlers that have not returned, and for what has been answered to be
  /// settled, and leaves the queue. What is still to be answered then, or was taken and not begun with,
  /// returns to the queue, flagged as redelivered. Called within one of its handlers or callbacks, or a
  /// function of `bus::transact`, it returns at once, and that is done when they have returned. Idempotent.
  /// `bus::close` does the same first.
  void close() noexcept;
  /// The same, and `wait`, without waiting, for any completion token of the signature `void(result<void>)`.
  /// See <levada/async.hpp>, which defines it.
  template <class Token>
  auto async_close(Token&& token);

  /// Whether it is still at work: it has not been closed, nor ended by itself.
  [[nodiscard]] bool active() const noexcept;
  /// Waits until it has ended, and says why, if it was not closed: with what its handler has failed
  /// (`failed_delivery::stop`), or receiving, in a way that leaves nothing to be tried: `closed` where its
  /// queue was deleted, `consumer_timed_out`, `damaged`. Within its handlers and callbacks it fails with
  /// `would_deadlock`.
  [[nodiscard]] result<void> wait() const;

  /// Messages that have been taken, and are not settled.
  [[nodiscard]] std::size_t unsettled() const noexcept;
  [[nodiscard]] const std::string& queue() const noexcept;

 private:
  friend class bus;
  friend class exclusive_queue;
  static void start_close(const std::shared_ptr<impl>& self, detail::completion<void> done);
  explicit push_consumer(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
