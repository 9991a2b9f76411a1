// The asynchronous twins of a bus's own calls, and closing from within a handler.

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using boost::asio::use_future;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

class AsyncCalls : public bus_fixture {};

TEST_F(AsyncCalls, DoWhatTheirTwinsDo) {
  auto& b = the_bus();
  const auto orders = ok(b.async_declare_topic("orders", {.partitions = 2}, use_future).get());
  EXPECT_EQ(orders.partitions(), 2U);
  ok(orders.publish(partition_id{0}, record{"one"}));
  ok(orders.publish(partition_id{0}, record{"two"}));
  consumer_options how;
  how.reset = offset_reset::earliest;
  auto billing = ok(b.async_join("billing", {"orders"}, how, use_future).get());
  EXPECT_THAT(poll_all(billing), ElementsAre("one", "two"));
  ok(b.async_delete_records({"orders", partition_id{0}}, offset{1}, use_future).get());
  EXPECT_THAT(read_all(ok(b.replay("orders", {.until = until_latest{}}))), ElementsAre("two"));
  ok(b.async_set_retention("orders", {.records = 5}, use_future).get());
  ok(b.async_set_compaction("orders", compaction_policy{}, use_future).get());
  ok(b.async_set_compression("orders", compression::lz4, use_future).get());
  ok(b.async_delete_topic("orders", use_future).get());
  EXPECT_THAT(b.topic("orders"), fails_with(errc::unknown_topic));

  const exchange_options direct{.type = exchange_type::direct};
  ok(b.async_declare_exchange("events", direct, use_future).get());
  ok(b.async_declare_queue("work", use_future).get());
  ok(b.async_bind("events", "work", "a", use_future).get());
  ok(b.async_bind("events", "work", "b", use_future).get());
  ok(b.async_unbind("events", "work", "b", use_future).get());
  const binding_arguments some{{"a", "b"}};
  ok(b.async_bind("events", "work", "c", some, use_future).get());
  ok(b.async_unbind("events", "work", "c", some, use_future).get());
  const binding_arguments none;
  ok(b.declare_exchange("further"));
  ok(b.async_bind_exchange("events", "further", "c", none, use_future).get());
  EXPECT_EQ(ok(b.async_exchange("events", use_future).get()).bindings, 2U);
  ok(b.async_unbind_exchange("events", "further", "c", none, use_future).get());
  ok(b.async_delete_exchange("further", {.if_unused = true}, use_future).get());
  EXPECT_EQ(ok(b.async_publish("events", "a", record{"routed"}, use_future).get()).routed, 1U);
  EXPECT_EQ(ok(b.async_publish("events", "b", record{"not"}, use_future).get()).routed, 0U);
  EXPECT_EQ(ok(b.async_queue("work", use_future).get()).messages, 1U);
  EXPECT_EQ(ok(b.async_peek("work", 10, use_future).get()).size(), 1U);
  const queue_options bounded{.max_length = 1};
  ok(b.async_declare_queue("bounded", bounded, use_future).get());
  const publish_options mandatory{.mandatory = true};
  EXPECT_EQ(ok(b.async_publish("", "bounded", record{"x"}, mandatory, use_future).get()).routed, 1U);
  std::vector<message> two;
  two.emplace_back("", "bounded", record{"1"});
  two.emplace_back("", "bounded", record{"2"});
  EXPECT_EQ(ok(b.async_publish(std::move(two), mandatory, use_future).get()).size(), 2U);
  EXPECT_EQ(ok(b.async_purge_queue("bounded", use_future).get()), 1U);
  const queue_consumer_options one{.prefetch = 1};
  auto worker = ok(b.async_consume("work", one, use_future).get());
  EXPECT_THAT(receive_all(worker), ElementsAre("routed"));
  auto own = ok(b.async_declare_anonymous_queue(use_future).get());
  EXPECT_TRUE(own.name().starts_with("amq.gen-"));
  ok(b.async_delete_queue("work", use_future).get());
  EXPECT_THAT(worker.receive(at_once), fails_with(errc::closed));

  const auto accounts = ok(b.async_declare_table("accounts", use_future).get());
  ok(accounts.async_put({"ada", 1}, "x", use_future).get());
  EXPECT_THAT(ok(accounts.get({"ada", 1})), Optional(std::string{"x"}));
  EXPECT_TRUE(ok(accounts.async_erase({"ada", 1}, use_future).get()));
  EXPECT_FALSE(ok(accounts.async_erase({"ada", 1}, use_future).get()));
  ok(b.async_delete_table("accounts", use_future).get());

  ok(b.async_sync(use_future).get());
  ok(b.async_maintain(use_future).get());
  const backup_options copies;
  const auto copy = store().parent_path() / "copy";
  ok(b.async_backup(copy, copies, use_future).get());
  expect_sound(copy);
}

TEST_F(AsyncCalls, TellWhatWasWrong) {
  auto& b = the_bus();
  EXPECT_THAT(b.async_declare_topic("", {}, use_future).get(), fails_with(errc::name_invalid));
  EXPECT_THAT(b.async_delete_topic("none", use_future).get(), fails_with(errc::unknown_topic));
  EXPECT_THAT(b.async_publish("none", "key", record{"x"}, use_future).get(),
              fails_with(errc::unknown_exchange));
  ok(b.declare_exchange("events"));
  EXPECT_THAT(b.async_publish("events", std::string(256, 'k'), record{"x"}, use_future).get(),
              fails_with(errc::field_too_long));
  const auto accounts = ok(b.declare_table("accounts"));
  EXPECT_THAT(accounts.async_put("k", std::string(table_value_bytes_max + 1, 'v'), use_future).get(),
              fails_with(errc::field_too_long));
  EXPECT_THAT(accounts.async_erase(std::string(1000, 'k'), use_future).get(),
              fails_with(errc::field_too_long));
}

/// Options that own something are refused where they may be temporary objects of a co_await expression.
template <class Bus>
concept joins_with_temporary_options = requires(Bus b) {
  b.async_join("g", {"t"}, consumer_options{}, use_future);
};
template <class Bus>
concept copies_with_temporary_options = requires(Bus b) {
  b.async_backup("d", backup_options{}, use_future);
};
template <class Bus>
concept declares_with_temporary_options = requires(Bus b) {
  b.async_declare_exchange("e", exchange_options{}, use_future);
}
|| requires(Bus b) {
  b.async_declare_queue("q", queue_options{}, use_future);
};
template <class Bus>
concept binds_with_temporary_arguments = requires(Bus b) {
  b.async_bind("e", "q", "k", binding_arguments{}, use_future);
}
|| requires(Bus b) {
  b.async_unbind_exchange("e", "f", "k", binding_arguments{}, use_future);
};
template <class Bus>
concept consumes_with_temporary_options = requires(Bus b) {
  b.async_consume("q", queue_consumer_options{}, use_future);
}
|| requires(Bus b, delivery_handler h) {
  b.async_consume("q", h, push_consumer_options{}, use_future);
};
template <class Bus>
concept sets_temporary_policies = requires(Bus b) {
  b.async_set_policy("p", policy_options{}, use_future);
}
|| requires(Bus b) {
  b.async_set_operator_policy("p", operator_policy_options{}, use_future);
};
static_assert(!binds_with_temporary_arguments<bus&>);
static_assert(!consumes_with_temporary_options<bus&> && !sets_temporary_policies<bus&>);
static_assert(!joins_with_temporary_options<bus&> && !copies_with_temporary_options<bus&> &&
              !declares_with_temporary_options<bus&>);
static_assert(std::is_trivially_destructible_v<topic_options> &&
              std::is_trivially_destructible_v<publish_options> &&
              std::is_trivially_destructible_v<exchange_deletion_options> &&
              std::is_trivially_destructible_v<queue_deletion_options> &&
              std::is_trivially_destructible_v<retention_policy> &&
              std::is_trivially_destructible_v<compaction_policy>);

TEST_F(AsyncCalls, CloseFromAHandlerInTheBussOwnThread) {
  auto owner = std::make_shared<std::optional<bus>>(ok(bus::open_in_memory()));
  const auto orders = ok((*owner)->declare_topic("orders"));
  std::promise<result<void>> done;
  orders.async_publish(record{"x"}, [&, owner](const result<publish_receipt>& sent) {
    EXPECT_THAT(sent, succeeds());
    EXPECT_THAT((*owner)->close(), fails_with(errc::would_deadlock));
    (*owner)->async_close([&, owner](result<void> closed) {
      owner->reset();  // the last handler may destroy the bus
      done.set_value(std::move(closed));
    });
  });
  EXPECT_THAT(done.get_future().get(), succeeds());
  EXPECT_THAT(orders.publish(record{"y"}), fails_with(errc::closed));
}

TEST_F(AsyncCalls, CloseCommitsWhatWasSubmittedAndRunsTheHandlers) {
  const auto orders = ok(the_bus().declare_topic("orders"));
  std::atomic<int> told{0};
  for (int i = 0; i < 50; ++i) {
    orders.async_publish(record{"x"}, [&](const result<publish_receipt>& sent) {
      EXPECT_THAT(sent, succeeds());
      ++told;
    });
  }
  // In the bus's own thread, where it is the last that runs.
  std::promise<result<void>> closed;
  the_bus().async_close([&](result<void> r) {
    EXPECT_EQ(told, 50);
    closed.set_value(std::move(r));
  });
  ok(closed.get_future().get());
  ok(the_bus().async_close(use_future).get());  // idempotent
  reopen();
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.until = until_latest{}}))).size(), 50U);
}

TEST_F(AsyncCalls, AnswerAlsoOnceTheBusIsClosed) {
  const auto orders = ok(the_bus().declare_topic("orders"));
  ok(the_bus().close());
  std::promise<result<publish_receipt>> sent;
  orders.async_publish(record{"x"}, [&](result<publish_receipt> r) { sent.set_value(std::move(r)); });
  EXPECT_THAT(sent.get_future().get(), fails_with(errc::closed));
  std::promise<result<void>> synced;
  the_bus().async_sync([&](result<void> r) { synced.set_value(std::move(r)); });
  EXPECT_THAT(synced.get_future().get(), fails_with(errc::closed));
}

}  // namespace
}  // namespace levada::test
