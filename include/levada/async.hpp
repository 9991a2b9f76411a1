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
/// first, and move it in. Options that own something have no constructor, so that plain calls read well: they
/// are taken from named objects, and what would take them from a temporary one is deleted. What no library
/// can prevent: g++ 12 destroys the outcome of `c ? co_await a : co_await b` twice, of whatever type; write
/// `if`.

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <levada/bus.hpp>
#include <levada/consumer.hpp>
#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/inspect.hpp>
#include <levada/producer.hpp>
#include <levada/queue.hpp>
#include <levada/replay.hpp>
#include <levada/requester.hpp>
#include <levada/share_consumer.hpp>
#include <levada/space.hpp>
#include <levada/subscription.hpp>
#include <levada/ticket.hpp>
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

template <class T, class Token>
auto bus::async_call(std::function<result<T>(bus&)> call, Token&& token) const {
  return boost::asio::async_initiate<Token, void(result<T>)>(
      [](auto handler, const std::shared_ptr<impl>& self, std::function<result<T>(bus&)> what) {
        start_call<T>(self, std::move(what), detail::completion<T>{std::move(handler)});
      },
      token, impl_, std::move(call));
}

template <class Token>
auto bus::async_publish(std::string exchange, std::string routing_key, record r, publish_options options,
                        Token&& token) {
  return boost::asio::async_initiate<Token, void(result<publish_receipt>)>(
      [](auto handler, const std::shared_ptr<impl>& self, const std::string& to, const std::string& key,
         const record& what, const publish_options& how) {
        start_publish(self, to, key, what, how, detail::completion<publish_receipt>{std::move(handler)});
      },
      token, impl_, std::move(exchange), std::move(routing_key), std::move(r), options);
}

template <class Token>
auto bus::async_publish(std::string exchange, std::string routing_key, record r, Token&& token) {
  return async_publish(std::move(exchange), std::move(routing_key), std::move(r), publish_options{},
                       std::forward<Token>(token));
}

template <class Token>
auto bus::async_publish(std::vector<message> messages, publish_options options, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<std::vector<publish_receipt>>)>(
      [](auto handler, const std::shared_ptr<impl>& self, const std::vector<message>& what,
         const publish_options& how) {
        start_publish(self, what, how, detail::completion<std::vector<publish_receipt>>{std::move(handler)});
      },
      token, impl_, std::move(messages), options);
}

template <class Token>
auto bus::async_reply(const record_view& request, record r, Token&& token) {
  // What is needed of the request is copied: it may be gone by the time that the call is made.
  std::string to{request.properties().reply_to};
  r.correlation_id(std::string{request.properties().correlation_id});
  return boost::asio::async_initiate<Token, void(result<publish_receipt>)>(
      [](auto handler, const std::shared_ptr<impl>& self, const std::string& queue, const record& what) {
        start_reply(self, queue, what, detail::completion<publish_receipt>{std::move(handler)});
      },
      token, impl_, std::move(to), std::move(r));
}

template <class Token>
auto bus::async_close(Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self) {
        start_close(self, detail::completion<void>{std::move(handler)});
      },
      token, impl_);
}

template <class Token>
auto bus::async_explain(std::string exchange, std::string routing_key, record r, publish_options options,
                        Token&& token) const {
  return async_call<explanation>(
      [exchange = std::move(exchange), routing_key = std::move(routing_key), r = std::move(r),
       options](bus& b) { return b.explain(exchange, routing_key, r, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_cancel(delayed_message message, Token&& token) {
  return async_call<bool>([message = std::move(message)](bus& b) { return b.cancel(message); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_trace(std::string id, trace_options options, Token&& token) const {
  return async_call<message_trace>([id = std::move(id), options](bus& b) { return b.trace(id, options); },
                                   std::forward<Token>(token));
}

template <class Token>
auto bus::async_find_ticket(std::string message_id, Token&& token) const {
  return async_call<ticket>([id = std::move(message_id)](bus& b) { return b.find_ticket(id); },
                            std::forward<Token>(token));
}

template <class Token>
auto bus::async_forget_ticket(std::string message_id, Token&& token) {
  return async_call<bool>([id = std::move(message_id)](bus& b) { return b.forget_ticket(id); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_delayed(std::size_t most, Token&& token) const {
  return async_call<std::vector<delayed_message>>([most](bus& b) { return b.delayed(most); },
                                                  std::forward<Token>(token));
}

template <class Token>
auto bus::async_declare_topic(std::string name, topic_options options, Token&& token) {
  return async_call<levada::topic>(
      [name = std::move(name), options](bus& b) { return b.declare_topic(name, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_delete_topic(std::string name, Token&& token) {
  return async_call<void>([name = std::move(name)](bus& b) { return b.delete_topic(name); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_set_retention(std::string name, retention_policy policy, Token&& token) {
  return async_call<void>([name = std::move(name), policy](bus& b) { return b.set_retention(name, policy); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_set_compaction(std::string name, std::optional<compaction_policy> policy, Token&& token) {
  return async_call<void>([name = std::move(name), policy](bus& b) { return b.set_compaction(name, policy); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_set_compression(std::string name, levada::compression how, Token&& token) {
  return async_call<void>([name = std::move(name), how](bus& b) { return b.set_compression(name, how); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_delete_records(topic_partition where, offset before, Token&& token) {
  return async_call<void>(
      [where = std::move(where), before](bus& b) { return b.delete_records(where, before); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_join(std::string group, std::vector<std::string> topics, const consumer_options& options,
                     Token&& token) {
  return async_call<consumer>([group = std::move(group), topics = std::move(topics),
                               options](bus& b) { return b.join(group, topics, options); },
                              std::forward<Token>(token));
}

template <class Token>
auto bus::async_join(std::string group, topic_pattern topics, const consumer_options& options,
                     Token&& token) {
  return async_call<consumer>([group = std::move(group), topics = std::move(topics),
                               options](bus& b) { return b.join(group, topics, options); },
                              std::forward<Token>(token));
}

template <class Token>
auto bus::async_assign(std::string group, std::vector<topic_partition> partitions,
                       const consumer_options& options, Token&& token) {
  return async_call<consumer>([group = std::move(group), partitions = std::move(partitions),
                               options](bus& b) { return b.assign(group, partitions, options); },
                              std::forward<Token>(token));
}

template <class Topics, class Handler, class Token>
auto bus::async_subscribe(std::string group, Topics topics, Handler handler,
                          const subscription_options& options, Token&& token) {
  return async_call<subscription>(
      [group = std::move(group), topics = std::move(topics), handler = std::move(handler), options](bus& b) {
        return b.subscribe(group, topics, handler, options);
      },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_share_consume(std::string group, std::vector<std::string> topics,
                              share_consumer_options options, Token&& token) {
  return async_call<share_consumer>([group = std::move(group), topics = std::move(topics),
                                     options](bus& b) { return b.share_consume(group, topics, options); },
                                    std::forward<Token>(token));
}

template <class Token>
auto bus::async_delete_group(std::string name, Token&& token) {
  return async_call<void>([name = std::move(name)](bus& b) { return b.delete_group(name); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_reset_offsets(std::string group, std::string topic, const offset_reset_options& options,
                              Token&& token) {
  return async_call<std::vector<offset_change>>(
      [group = std::move(group), topic = std::move(topic), options](bus& b) {
        return b.reset_offsets(group, topic, options);
      },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_make_producer(std::string topic, const producer_options& options, Token&& token) {
  return async_call<producer>(
      [topic = std::move(topic), options](bus& b) { return b.make_producer(topic, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_make_requester(Token&& token) {
  return async_call<requester>([](bus& b) { return b.make_requester(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_transact(std::function<result<void>(transaction&)> function, transact_options options,
                         Token&& token) {
  return async_call<transaction_receipt>(
      [function = std::move(function), options](bus& b) { return b.transact(function, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_process(consumer& from,
                        std::function<result<void>(transaction&, const record_batch&)> handler,
                        const process_options& options, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<process_report>)>(
      [](auto done, const std::shared_ptr<impl>& self, consumer* where,
         std::function<result<void>(transaction&, const record_batch&)> what, const process_options& how) {
        start_process(self, *where, std::move(what), how,
                      detail::completion<process_report>{std::move(done)});
      },
      token, impl_, &from, std::move(handler), options);
}

template <class Token>
auto bus::async_declare_exchange(std::string name, const exchange_options& options, Token&& token) {
  return async_call<void>(
      [name = std::move(name), options](bus& b) { return b.declare_exchange(name, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_exchange(std::string name, Token&& token) const {
  return async_call<exchange_info>([name = std::move(name)](bus& b) { return b.exchange(name); },
                                   std::forward<Token>(token));
}

template <class Token>
auto bus::async_delete_exchange(std::string name, exchange_deletion_options options, Token&& token) {
  return async_call<void>(
      [name = std::move(name), options](bus& b) { return b.delete_exchange(name, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_queue(std::string name, Token&& token) const {
  return async_call<queue_info>([name = std::move(name)](bus& b) { return b.queue(name); },
                                std::forward<Token>(token));
}

template <class Token>
auto bus::async_declare_queue(std::string name, const queue_options& options, Token&& token) {
  return async_call<void>(
      [name = std::move(name), options](bus& b) { return b.declare_queue(name, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_purge_queue(std::string name, Token&& token) {
  return async_call<std::uint64_t>([name = std::move(name)](bus& b) { return b.purge_queue(name); },
                                   std::forward<Token>(token));
}

template <class Token>
auto bus::async_peek(std::string queue, std::size_t most, Token&& token) const {
  return async_call<record_batch>([queue = std::move(queue), most](bus& b) { return b.peek(queue, most); },
                                  std::forward<Token>(token));
}

template <class Token>
auto bus::async_declare_queue(std::string name, Token&& token) {
  return async_call<void>([name = std::move(name)](bus& b) { return b.declare_queue(name); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_declare_exclusive_queue(std::string name, const queue_options& options, Token&& token) {
  return async_call<exclusive_queue>(
      [name = std::move(name), options](bus& b) { return b.declare_exclusive_queue(name, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_declare_anonymous_queue(Token&& token) {
  return async_call<exclusive_queue>([](bus& b) { return b.declare_anonymous_queue(); },
                                     std::forward<Token>(token));
}

template <class Token>
auto bus::async_delete_queue(std::string name, Token&& token) {
  return async_delete_queue(std::move(name), queue_deletion_options{}, std::forward<Token>(token));
}

template <class Token>
auto bus::async_delete_queue(std::string name, queue_deletion_options options, Token&& token) {
  return async_call<void>([name = std::move(name), options](bus& b) { return b.delete_queue(name, options); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_bind(std::string exchange, std::string queue, std::string key,
                     const binding_arguments& arguments, binding_options options, Token&& token) {
  return async_call<void>(
      [exchange = std::move(exchange), queue = std::move(queue), key = std::move(key), arguments,
       options](bus& b) { return b.bind(exchange, queue, key, arguments, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_bind(std::string exchange, std::string queue, std::string key,
                     const binding_arguments& arguments, Token&& token) {
  return async_bind(std::move(exchange), std::move(queue), std::move(key), arguments, binding_options{},
                    std::forward<Token>(token));
}

template <class Token>
auto bus::async_bind(std::string exchange, std::string queue, std::string key, Token&& token) {
  const binding_arguments none;
  return async_bind(std::move(exchange), std::move(queue), std::move(key), none, std::forward<Token>(token));
}

template <class Token>
auto bus::async_replay_into(std::string queue, start_position from, Token&& token) {
  return async_call<void>([queue = std::move(queue), from](bus& b) { return b.replay_into(queue, from); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_unbind(std::string exchange, std::string queue, std::string key,
                       const binding_arguments& arguments, Token&& token) {
  return async_call<void>([exchange = std::move(exchange), queue = std::move(queue), key = std::move(key),
                           arguments](bus& b) { return b.unbind(exchange, queue, key, arguments); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_unbind(std::string exchange, std::string queue, std::string key, Token&& token) {
  const binding_arguments none;
  return async_unbind(std::move(exchange), std::move(queue), std::move(key), none,
                      std::forward<Token>(token));
}

template <class Token>
auto bus::async_bind_exchange(std::string source, std::string destination, std::string key,
                              const binding_arguments& arguments, Token&& token) {
  return async_call<void>(
      [source = std::move(source), destination = std::move(destination), key = std::move(key),
       arguments](bus& b) { return b.bind_exchange(source, destination, key, arguments); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_unbind_exchange(std::string source, std::string destination, std::string key,
                                const binding_arguments& arguments, Token&& token) {
  return async_call<void>(
      [source = std::move(source), destination = std::move(destination), key = std::move(key),
       arguments](bus& b) { return b.unbind_exchange(source, destination, key, arguments); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_set_policy(std::string name, const policy_options& options, Token&& token) {
  return async_call<void>([name = std::move(name), options](bus& b) { return b.set_policy(name, options); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_delete_policy(std::string name, Token&& token) {
  return async_call<void>([name = std::move(name)](bus& b) { return b.delete_policy(name); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_set_operator_policy(std::string name, const operator_policy_options& options, Token&& token) {
  return async_call<void>(
      [name = std::move(name), options](bus& b) { return b.set_operator_policy(name, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_delete_operator_policy(std::string name, Token&& token) {
  return async_call<void>([name = std::move(name)](bus& b) { return b.delete_operator_policy(name); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_consume(std::string queue, const queue_consumer_options& options, Token&& token) {
  return async_call<queue_consumer>(
      [queue = std::move(queue), options](bus& b) { return b.consume(queue, options); },
      std::forward<Token>(token));
}

template <class Handler, class Token>
auto bus::async_consume(std::string queue, Handler handler, const push_consumer_options& options,
                        Token&& token) {
  return async_call<push_consumer>([queue = std::move(queue), handler = std::move(handler),
                                    options](bus& b) { return b.consume(queue, handler, options); },
                                   std::forward<Token>(token));
}

template <class Token>
auto bus::async_declare_table(std::string name, Token&& token) {
  return async_call<levada::table>([name = std::move(name)](bus& b) { return b.declare_table(name); },
                                   std::forward<Token>(token));
}

template <class Token>
auto bus::async_delete_table(std::string name, Token&& token) {
  return async_call<void>([name = std::move(name)](bus& b) { return b.delete_table(name); },
                          std::forward<Token>(token));
}

template <class Token>
auto bus::async_sync(Token&& token) {
  return async_call<void>([](bus& b) { return b.sync(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_maintain(Token&& token) {
  return async_call<void>([](bus& b) { return b.maintain(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_backup(std::filesystem::path to, const backup_options& options, Token&& token) {
  return async_call<backup_report>([to = std::move(to), options](bus& b) { return b.backup(to, options); },
                                   std::forward<Token>(token));
}

template <class Token>
auto bus::async_replay(std::string topic, replay_options options, Token&& token) const {
  return async_call<levada::replay>(
      [topic = std::move(topic), options](bus& b) { return b.replay(topic, options); },
      std::forward<Token>(token));
}

template <class Token>
auto bus::async_replay_all(replay_options options, Token&& token) const {
  return async_call<levada::replay>([options](bus& b) { return b.replay_all(options); },
                                    std::forward<Token>(token));
}

template <class Token>
auto bus::async_topics(Token&& token) const {
  return async_call<std::vector<topic_info>>([](bus& b) { return b.topics(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_groups(Token&& token) const {
  return async_call<std::vector<group_info>>([](bus& b) { return b.groups(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_exchanges(Token&& token) const {
  return async_call<std::vector<exchange_info>>([](bus& b) { return b.exchanges(); },
                                                std::forward<Token>(token));
}

template <class Token>
auto bus::async_queues(Token&& token) const {
  return async_call<std::vector<queue_info>>([](bus& b) { return b.queues(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_bindings(Token&& token) const {
  return async_call<std::vector<binding_info>>([](bus& b) { return b.bindings(); },
                                               std::forward<Token>(token));
}

template <class Token>
auto bus::async_policies(Token&& token) const {
  return async_call<std::vector<policy_info>>([](bus& b) { return b.policies(); },
                                              std::forward<Token>(token));
}

template <class Token>
auto bus::async_operator_policies(Token&& token) const {
  return async_call<std::vector<operator_policy_info>>([](bus& b) { return b.operator_policies(); },
                                                       std::forward<Token>(token));
}

template <class Token>
auto bus::async_jobs(Token&& token) const {
  return async_call<std::vector<job_info>>([](bus& b) { return b.jobs(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_readers(Token&& token) const {
  return async_call<std::vector<reader_info>>([](bus& b) { return b.readers(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_space(Token&& token) const {
  return async_call<space_report>([](bus& b) { return b.space(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_stats(Token&& token) const {
  return async_call<bus_stats>([](bus& b) { return b.stats(); }, std::forward<Token>(token));
}

template <class Token>
auto bus::async_remove_job(std::string name, Token&& token) {
  return async_call<void>([name = std::move(name)](bus& b) { return b.remove_job(name); },
                          std::forward<Token>(token));
}

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
auto producer::async_send(record r, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<publish_receipt>)>(
      [](auto handler, const std::shared_ptr<impl>& self, const record& what) {
        start_send(self, std::nullopt, what, detail::completion<publish_receipt>{std::move(handler)});
      },
      token, impl_, std::move(r));
}

template <class Token>
auto producer::async_send(producer_sequence sequence, record r, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<publish_receipt>)>(
      [](auto handler, const std::shared_ptr<impl>& self, producer_sequence number, const record& what) {
        start_send(self, number, what, detail::completion<publish_receipt>{std::move(handler)});
      },
      token, impl_, sequence, std::move(r));
}

template <class Token>
auto producer::async_publish(publish_batch batch, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<batch_receipt>)>(
      [](auto handler, const std::shared_ptr<impl>& self, publish_batch what) {
        start_publish(self, std::move(what), detail::completion<batch_receipt>{std::move(handler)});
      },
      token, impl_, std::move(batch));
}

template <class Token>
auto producer::async_close(Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self) {
        start_close(self, detail::completion<void>{std::move(handler)});
      },
      token, impl_);
}

template <class Token>
auto subscription::async_close(Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self) {
        start_close(self, detail::completion<void>{std::move(handler)});
      },
      token, impl_);
}

template <class Token>
auto push_consumer::async_close(Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self) {
        start_close(self, detail::completion<void>{std::move(handler)});
      },
      token, impl_);
}

template <class Token>
auto requester::async_close(Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self) {
        start_close(self, detail::completion<void>{std::move(handler)});
      },
      token, impl_);
}

template <class Token>
auto consumer::async_close(Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self) {
        start_close(self, detail::completion<void>{std::move(handler)});
      },
      token, impl_);
}

template <class Token>
auto producer::async_flush(Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self) {
        start_flush(self, detail::completion<void>{std::move(handler)});
      },
      token, impl_);
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
auto consumer::async_commit(std::vector<offset_commit> offsets, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self, std::vector<offset_commit> what) {
        start_commit(self, std::move(what), detail::completion<void>{std::move(handler)});
      },
      token, impl_, std::move(offsets));
}

template <class Token>
auto consumer::async_commit(topic_partition where, offset next, std::string metadata, Token&& token) {
  std::vector<offset_commit> one;
  one.emplace_back(std::move(where), next, std::move(metadata));
  return async_commit(std::move(one), std::forward<Token>(token));
}

template <class Token>
auto consumer::async_commit(topic_partition where, offset next, Token&& token) {
  return async_commit(std::move(where), next, std::string{}, std::forward<Token>(token));
}

template <class Token>
auto replay::async_next(std::chrono::milliseconds timeout, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<record_batch>)>(
      [](auto handler, const std::shared_ptr<impl>& self, std::chrono::milliseconds most) {
        start_next(self, most, detail::completion<record_batch>{std::move(handler)});
      },
      token, impl_, timeout);
}

template <class Token>
auto table::async_put(table_key key, std::string value, Token&& token) const {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<const impl>& self, const table_key& at, std::string what) {
        start_put(self, at, std::move(what), detail::completion<void>{std::move(handler)});
      },
      token, impl_, std::move(key), std::move(value));
}

template <class Token>
auto table::async_erase(table_key key, Token&& token) const {
  return boost::asio::async_initiate<Token, void(result<bool>)>(
      [](auto handler, const std::shared_ptr<const impl>& self, const table_key& at) {
        start_erase(self, at, detail::completion<bool>{std::move(handler)});
      },
      token, impl_, std::move(key));
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
auto requester::async_request(std::string exchange, std::string routing_key, record r,
                              std::chrono::milliseconds timeout, Token&& token) {
  message request{std::move(exchange), std::move(routing_key), std::move(r)};
  return boost::asio::async_initiate<Token, void(result<delivery>)>(
      [](auto handler, const std::shared_ptr<impl>& self, message what, std::chrono::milliseconds most) {
        start_request(self, std::move(what), most, detail::completion<delivery>{std::move(handler)});
      },
      token, impl_, std::move(request), timeout);
}

template <class Token>
auto requester::async_gather(std::string exchange, std::string routing_key, record r, reply_condition enough,
                             std::chrono::milliseconds timeout, Token&& token) {
  message request{std::move(exchange), std::move(routing_key), std::move(r)};
  return boost::asio::async_initiate<Token, void(result<gathered_replies>)>(
      [](auto handler, const std::shared_ptr<impl>& self, message what, reply_condition condition,
         std::chrono::milliseconds most) {
        start_gather(self, std::move(what), std::move(condition), most,
                     detail::completion<gathered_replies>{std::move(handler)});
      },
      token, impl_, std::move(request), std::move(enough), timeout);
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
auto ticket::async_committed(std::chrono::milliseconds timeout, Token&& token) const {
  return boost::asio::async_initiate<Token, void(result<std::optional<publish_receipt>>)>(
      [](auto handler, const std::shared_ptr<const impl>& self, std::chrono::milliseconds most) {
        start_committed(self, most, detail::completion<std::optional<publish_receipt>>{std::move(handler)});
      },
      token, impl_, timeout);
}

template <class Token>
auto ticket::async_settled(std::chrono::milliseconds timeout, Token&& token) const {
  return boost::asio::async_initiate<Token, void(result<ticket_status>)>(
      [](auto handler, const std::shared_ptr<const impl>& self, std::chrono::milliseconds most) {
        start_settled(self, most, detail::completion<ticket_status>{std::move(handler)});
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

template <class Token>
auto share_consumer::async_poll(std::chrono::milliseconds timeout, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<std::vector<delivery>>)>(
      [](auto handler, const std::shared_ptr<impl>& self, std::chrono::milliseconds most) {
        start_poll(self, most, detail::completion<std::vector<delivery>>{std::move(handler)});
      },
      token, impl_, timeout);
}

template <class Token>
auto share_consumer::async_acknowledge(std::vector<delivery_tag> tags, acknowledge_type how, Token&& token) {
  return boost::asio::async_initiate<Token, void(result<void>)>(
      [](auto handler, const std::shared_ptr<impl>& self, const std::vector<delivery_tag>& which,
         acknowledge_type what) {
        start_acknowledge(self, which, what, detail::completion<void>{std::move(handler)});
      },
      token, impl_, std::move(tags), how);
}

}  // namespace levada
