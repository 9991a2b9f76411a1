// Natural coroutines, as users write them. g++ 12 destroys aggregates and capturing lambdas twice that are
// written inside a co_await expression (GCC bug 99576 and its kin); so nothing that an awaitable call takes
// may be an aggregate, and the shapes below must be safe with every compiler.

#include <chrono>
#include <concepts>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using std::chrono::milliseconds;
using ::testing::ElementsAre;

template <class... Types>
constexpr bool no_aggregates = (... && !std::is_aggregate_v<Types>);
static_assert(no_aggregates<record, header, properties, publish_batch, partition_id, offset, topic_partition,
                            milliseconds, delivery_tag, std::vector<delivery_tag>, table_key, key_range>,
              "what an awaitable call takes, or what is needed to make it, has constructors");

/// Longer than what strings keep within themselves, so that destroying one twice does not pass unnoticed.
std::string long_text(const char* begin) {
  return std::string{begin} + std::string(100, '.');
}

class Awaiting : public bus_fixture {
 protected:
  topic orders_ = ok(the_bus().declare_topic("orders", {.partitions = 2}));

  Awaiting() {
    ok(the_bus().declare_exchange("events"));
    ok(the_bus().declare_queue("work"));
    ok(the_bus().bind("events", "work", "#"));
  }
  /// Runs a coroutine to its end, and passes its exception on.
  template <class Coroutine>
  void run(Coroutine coroutine) {
    asio::io_context context;
    auto done = asio::co_spawn(context, std::move(coroutine), asio::use_future);
    context.run();
    done.get();
  }
  std::vector<std::string> orders() {
    return read_all(ok(the_bus().replay("orders", {.until = until_latest{}})));
  }
};

asio::awaitable<void> publish_in_all_shapes(topic to) {
  const std::string key = long_text("key");
  ok(co_await to.async_publish(record{long_text("a")}, use_awaitable));
  ok(co_await to.async_publish(record{key, long_text("b")}, use_awaitable));
  ok(co_await to.async_publish(record{}.key(key).value(long_text("c")), use_awaitable));
  ok(co_await to.async_publish(record{long_text("d")}.header(long_text("trace"), long_text("id")),
                               use_awaitable));
  ok(co_await to.async_publish(
      record{long_text("e")}.correlation_id(long_text("c")).reply_to(long_text("r")).priority(3),
      use_awaitable));
  ok(co_await to.async_publish(partition_id{1}, record::tombstone(long_text("f")), use_awaitable));
  // Not `key.empty() ? co_await ... : co_await ...`: g++ 12 destroys what that results in twice, whatever its
  // type.
  if (key.empty()) {
    ok(co_await to.async_publish(record{long_text("g")}, use_awaitable));
  } else {
    ok(co_await to.async_publish(record{long_text("h")}, use_awaitable));
  }
  auto batch = to.make_batch();
  ok(batch.add(long_text("i")));
  ok(co_await to.async_publish(std::move(batch), use_awaitable));
  record named{long_text("j")};
  ok(co_await to.async_publish(std::move(named), use_awaitable));
  auto later = to.async_publish(record{long_text("k")}, use_awaitable);
  ok(co_await std::move(later));
}

TEST_F(Awaiting, IsSafeForPublishingWhateverIsWrittenInline) {
  run([to = orders_] { return publish_in_all_shapes(to); });
  EXPECT_EQ(orders().size(), 10U);
}

asio::awaitable<void> consume_in_all_shapes(consumer& from, const std::string& topic) {
  const auto batch = ok(co_await from.async_poll(milliseconds{0}, use_awaitable));
  EXPECT_EQ(batch.size(), 1U);
  ok(co_await from.async_commit({topic, partition_id{0}}, offset{1}, use_awaitable));
  ok(co_await from.async_commit(topic_partition{topic, partition_id{0}}, batch.begin()->offset(),
                                use_awaitable));
  ok(co_await from.async_commit(use_awaitable));
}

TEST_F(Awaiting, IsSafeForConsuming) {
  const std::string name = long_text("a topic with a long name");
  const auto to = ok(the_bus().declare_topic(name));
  ok(to.publish(record{"x"}));
  auto from = join("readers", {name});
  run([&] { return consume_in_all_shapes(from, name); });
  EXPECT_EQ(ok(from.position({name, partition_id{0}})), offset{1});
}

asio::awaitable<void> settle_in_all_shapes(queue_consumer& worker) {
  std::vector<delivery_tag> tags;
  for (int i = 0; i < 5; ++i) {
    const auto d = ok(co_await worker.async_receive(milliseconds{0}, use_awaitable));
    tags.push_back(d->tag());
  }
  ok(co_await worker.async_ack(tags[0], use_awaitable));
  ok(co_await worker.async_nack(tags[1], requeue::no, use_awaitable));
  // g++ 12 refuses to compile lists in braces within a co_await expression: they need a name.
  std::vector<delivery_tag> several{tags[2]};
  ok(co_await worker.async_ack(std::move(several), use_awaitable));
  ok(co_await worker.async_ack_up_to(tags[4], use_awaitable));
}

TEST_F(Awaiting, IsSafeForSettling) {
  for (int i = 0; i < 5; ++i) ok(the_bus().publish("events", "job", record{long_text("x")}));
  auto worker = ok(the_bus().consume("work"));
  run([&] { return settle_in_all_shapes(worker); });
  EXPECT_EQ(ok(worker.receive(at_once)), std::nullopt);
}

asio::awaitable<void> call_in_all_shapes(bus& of, std::string name) {
  ok(co_await of.async_declare_topic(name, {.partitions = 2, .retention = {.records = 9}}, use_awaitable));
  consumer_options how;
  how.member_id = long_text("member");
  std::vector<std::string> topics{name, name + "2"};
  auto member = ok(co_await of.async_join(long_text("group"), std::move(topics), how, use_awaitable));
  EXPECT_EQ(member.member_id(), long_text("member"));
  const exchange_options by_pattern;
  ok(co_await of.async_declare_exchange(long_text("exchange"), by_pattern, use_awaitable));
  ok(co_await of.async_bind(long_text("exchange"), "work", long_text("key"), use_awaitable));
  ok(co_await of.async_publish(long_text("exchange"), long_text("key"), record{long_text("x")},
                               use_awaitable));
  const auto accounts = ok(co_await of.async_declare_table(long_text("table"), use_awaitable));
  ok(co_await accounts.async_put({long_text("key"), 7}, long_text("value"), use_awaitable));
  ok(co_await accounts.async_erase({long_text("key"), 7}, use_awaitable));
  ok(co_await of.async_delete_records({name, partition_id{0}}, offset{0}, use_awaitable));
  ok(co_await of.async_close(use_awaitable));
}

TEST_F(Awaiting, IsSafeForTheBussOwnCalls) {
  const std::string name = long_text("a topic");
  ok(the_bus().declare_topic(name + "2"));
  run([&] { return call_in_all_shapes(the_bus(), name); });
  EXPECT_THAT(the_bus().topics(), fails_with(errc::closed));
}

asio::awaitable<void> look_in_all_shapes(bus& of, const std::string& name) {
  const auto stats = ok(co_await of.async_stats(use_awaitable));
  EXPECT_GT(stats.commits.commits, 0U);
  const auto space = ok(co_await of.async_space(use_awaitable));
  EXPECT_GT(space.bytes, 0U);
  const auto topics = ok(co_await of.async_topics(use_awaitable));
  EXPECT_EQ(topics.size(), 3U);
  auto one = ok(co_await of.async_replay(name, {.until = until_latest{}}, use_awaitable));
  const auto batch = ok(co_await one.async_next(milliseconds{0}, use_awaitable));
  EXPECT_EQ(batch.size(), 1U);
  auto all = ok(co_await of.async_replay_all({.bytes_max = 1}, use_awaitable));
  EXPECT_EQ(ok(co_await all.async_next(milliseconds{0}, use_awaitable)).size(), 1U);
}

TEST_F(Awaiting, IsSafeForReplaysAndListings) {
  const std::string name = long_text("a topic with a long name");
  ok(ok(the_bus().declare_topic(name)).publish(record{long_text("x")}));
  run([&] { return look_in_all_shapes(the_bus(), name); });
}

asio::awaitable<void> commit_in_all_shapes(bus& of, topic to, table into) {
  auto t = ok(of.begin());
  ok(t.publish(to, record{long_text("x")}));
  ok(t.put(into, {long_text("key"), 1}, long_text("value")));
  ok(co_await t.async_commit(use_awaitable));
}

TEST_F(Awaiting, IsSafeForTransactions) {
  const auto accounts = ok(the_bus().declare_table("accounts"));
  run([&] { return commit_in_all_shapes(the_bus(), orders_, accounts); });
  EXPECT_EQ(ok(accounts.get({long_text("key"), 1})), long_text("value"));
}

}  // namespace
}  // namespace levada::test
