#pragma once

/// @file
/// What the `async_` twins are made of. Whoever calls one includes this.
///
/// An `async_` call takes a completion token of Boost.Asio: a callback, `use_future`, `use_awaitable`,
/// `deferred` and the rest. Its handler gets a `result<T>`, never an exception. It runs once, never within
/// the call itself, by the handler's associated executor, else by `bus::get_executor`. A handler may call the
/// bus, and publish; calls that wait hold up the executor that they are made in.
///
/// What an `async_` call takes, it takes by value and in classes with constructors, as g++ 12 destroys
/// aggregates and capturing lambdas twice that are written inside a `co_await` expression: give yours a name
/// first, and move it in.

#include <chrono>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <levada/consumer.hpp>
#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/queue.hpp>
#include <levada/topic.hpp>
#include <levada/transaction.hpp>

namespace levada {
namespace detail {

/// Owns a handler of any type. Move-only.
template <class T>
class completion {
 public:
  using handler_type = boost::asio::any_completion_handler<void(result<T>)>;

  template <class Handler>
  requires(!std::is_same_v<std::remove_cvref_t<Handler>, completion>) explicit completion(Handler&& handler)
      : executor_{executor_of(handler)}, handler_{std::forward<Handler>(handler)} {}

  /// The handler's own executor, where it has one that can be posted to.
  [[nodiscard]] const boost::asio::any_io_executor& executor() const noexcept { return executor_; }
  [[nodiscard]] handler_type take() && { return std::move(handler_); }

 private:
  template <class Handler>
  static boost::asio::any_io_executor executor_of(const Handler& handler) {
    auto own = boost::asio::get_associated_executor(handler, boost::asio::any_io_executor{});
    if constexpr (std::is_constructible_v<boost::asio::any_io_executor, decltype(own)>) {
      return boost::asio::any_io_executor{std::move(own)};
    } else {
      return {};
    }
  }

  boost::asio::any_io_executor executor_;
  handler_type handler_;
};

}  // namespace detail

template <class Token>
auto topic::async_publish(record r, Token&& token) const {
  return boost::asio::async_initiate<Token, void(result<publish_receipt>)>(
      [](auto handler, const std::shared_ptr<const impl>& self, const record& what) {
        start_publish(self, std::nullopt, what, detail::completion<publish_receipt>{std::move(handler)});
      },
      token, impl_, std::move(r));
}

template <class Token>
auto topic::async_publish(partition_id partition, record r, Token&& token) const {
  return boost::asio::async_initiate<Token, void(result<publish_receipt>)>(
      [](auto handler, const std::shared_ptr<const impl>& self, partition_id where, const record& what) {
        start_publish(self, where, what, detail::completion<publish_receipt>{std::move(handler)});
      },
      token, impl_, partition, std::move(r));
}

template <class Token>
auto topic::async_publish(publish_batch batch, Token&& token) const {
  return boost::asio::async_initiate<Token, void(result<batch_receipt>)>(
      [](auto handler, const std::shared_ptr<const impl>& self, publish_batch what) {
        start_publish(self, std::move(what), detail::completion<batch_receipt>{std::move(handler)});
      },
      token, impl_, std::move(batch));
}

template <class Token>
auto consumer::async_poll(std::chrono::milliseconds timeout, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<record_batch>)>(
      [](auto handler, const std::shared_ptr<impl>& self, std::chrono::milliseconds most) {
        start_poll(self, most, detail::completion<record_batch>{std::move(handler)});
      },
      token, impl_, timeout);
}

template <class Token>
auto consumer::async_commit(Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self) {
        start_commit(self, std::nullopt, detail::completion<void>{std::move(handler)});
      },
      token, impl_);
}

template <class Token>
auto consumer::async_commit(topic_partition where, offset next, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self, topic_partition what, offset to) {
        start_commit(self, std::pair{std::move(what), to}, detail::completion<void>{std::move(handler)});
      },
      token, impl_, std::move(where), next);
}

template <class Token>
auto transaction::async_commit(Token&& token) {
  return boost::asio::async_initiate<Token, void(result<transaction_receipt>)>(
      [](auto handler, const std::shared_ptr<impl>& self) {
        start_commit(self, detail::completion<transaction_receipt>{std::move(handler)});
      },
      token, impl_);
}

template <class Token>
auto queue_consumer::async_receive(std::chrono::milliseconds timeout, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<std::optional<delivery>>)>(
      [](auto handler, const std::shared_ptr<impl>& self, std::chrono::milliseconds most) {
        start_receive(self, most, detail::completion<std::optional<delivery>>{std::move(handler)});
      },
      token, impl_, timeout);
}

template <class Token>
auto queue_consumer::async_ack(delivery_tag tag, Token&& token) {
  return async_settle({tag}, settlement::ack, std::forward<Token>(token));
}

template <class Token>
auto queue_consumer::async_ack(std::vector<delivery_tag> tags, Token&& token) {
  return async_settle(std::move(tags), settlement::ack, std::forward<Token>(token));
}

template <class Token>
auto queue_consumer::async_ack_up_to(delivery_tag tag, Token&& token) {
  return async_settle({tag}, settlement::ack_up_to, std::forward<Token>(token));
}

template <class Token>
auto queue_consumer::async_nack(delivery_tag tag, requeue what, Token&& token) {
  return async_settle({tag}, what == requeue::yes ? settlement::put_back : settlement::discard,
                      std::forward<Token>(token));
}

template <class Token>
auto queue_consumer::async_settle(std::vector<delivery_tag> tags, settlement how, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self, const std::vector<delivery_tag>& which,
         settlement what) { start_settle(self, which, what, detail::completion<void>{std::move(handler)}); },
      token, impl_, std::move(tags), how);
}

}  // namespace levada
