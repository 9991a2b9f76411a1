#pragma once

/// @file
/// Requests and their replies, over exchanges and queues.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/publishing.hpp>
#include <levada/queue.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// The direct exchange that replies go through, as AMQP predeclares it: made with the first requester. Each
/// requester's queue is bound to it under the queue's name. Keeps an hour of settled replies, 16 MiB of them.
inline constexpr const char* reply_exchange = "amq.direct";

/// What came back for a request to many.
struct gathered_replies {
  /// In the order in which they came.
  std::vector<delivery> replies;
  /// Whether the condition was met; else the time was over.
  bool complete = false;
};

/// Whether these replies are all that are wanted. Called for each that comes, in a thread of the requester's;
/// must neither wait, nor call the requester, nor throw.
using reply_condition = std::function<bool(std::span<const delivery> replies)>;

/// Publishes requests, and has what is answered come back through a private queue (RabbitMQ's RPC pattern):
/// a request carries the queue's name as `reply_to`, and a number of its own as `correlation_id`, in place of
/// what the record has there. Who consumes it answers with `bus::reply`. From `bus::make_requester`.
///
/// Requests are durable messages like others: one may be handled after its requester has given up waiting, or
/// twice, when who handles it dies, and the second reply is dropped. Replies come back at most to this
/// object: its queue goes with it, and with the bus.
///
/// Move-only. Safe to use from several threads. Calls fail with `errc::closed` once it or the bus is closed.
class LEVADA_EXPORT requester {
 public:
  class impl;
  requester(requester&&) noexcept;
  requester& operator=(requester&&) noexcept;
  /// Closes it.
  ~requester();

  /// Publishes a request and waits for the first reply. Fails with `unroutable` where no queue takes it, with
  /// `timed_out` when none has come in time, counted from the call, and as `bus::publish` does.
  [[nodiscard]] result<delivery> request(std::string exchange, std::string routing_key, record r,
                                         std::chrono::milliseconds timeout);
  /// Publishes a request to many (scatter), and gathers replies until the condition is met, or the time is
  /// over, which is no failure. Fails with `unroutable` where no queue takes it, `invalid_argument` for an
  /// empty condition, and as `bus::publish` does.
  [[nodiscard]] result<gathered_replies> gather(std::string exchange, std::string routing_key, record r,
                                                reply_condition enough, std::chrono::milliseconds timeout);

  /// The same without waiting, for any completion token of the signature `void(result<delivery>)` or
  /// `void(result<gathered_replies>)`. See <levada/async.hpp>, which defines these.
  template <class Token>
  auto async_request(std::string exchange, std::string routing_key, record r,
                     std::chrono::milliseconds timeout, Token&& token);
  template <class Token>
  auto async_gather(std::string exchange, std::string routing_key, record r, reply_condition enough,
                    std::chrono::milliseconds timeout, Token&& token);

  /// The private queue.
  [[nodiscard]] const std::string& queue() const noexcept;
  /// How many replies have come that nobody waited for any more.
  [[nodiscard]] std::uint64_t late_replies() const noexcept;

  /// Fails the requests that wait, with `errc::closed`, and deletes the queue. Idempotent.
  void close() noexcept;
  /// The same without waiting, for `void(result<void>)`.
  template <class Token>
  auto async_close(Token&& token);

 private:
  friend class bus;
  static void start_request(const std::shared_ptr<impl>& self, message request,
                            std::chrono::milliseconds timeout, detail::completion<delivery> done);
  static void start_gather(const std::shared_ptr<impl>& self, message request, reply_condition enough,
                           std::chrono::milliseconds timeout, detail::completion<gathered_replies> done);
  static void start_close(const std::shared_ptr<impl>& self, detail::completion<void> done);
  explicit requester(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
