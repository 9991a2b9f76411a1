#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

class Routing : public bus_fixture {
 protected:
  queue_consumer queue_bound_to(const std::string& name, const std::vector<std::string>& keys) {
    ok(the_bus().declare_queue(name));
    for (const auto& key : keys) ok(the_bus().bind("events", name, key));
    return ok(the_bus().consume(name));
  }
  std::size_t publish(const std::string& key, const std::string& value) {
    return ok(the_bus().publish("events", key, record{value})).routed;
  }
};

TEST_F(Routing, GivesEachQueueTheMessagesThatItsPatternsMatch) {
  ok(the_bus().declare_exchange("events"));
  auto all = queue_bound_to("all", {"#"});
  auto fire = queue_bound_to("fire", {"call.*.fire"});
  auto north = queue_bound_to("north", {"call.north.#"});
  EXPECT_EQ(publish("call.north.fire", "1"), 3U);
  EXPECT_EQ(publish("call.south.fire", "2"), 2U);
  EXPECT_EQ(publish("call.north", "3"), 2U);
  EXPECT_EQ(publish("", "4"), 1U);
  EXPECT_EQ(receive_all(all), (std::vector<std::string>{"1", "2", "3", "4"}));
  EXPECT_EQ(receive_all(fire), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(receive_all(north), (std::vector<std::string>{"1", "3"}));
}

TEST_F(Routing, DeliversOnceHoweverManyBindingsMatch) {
  ok(the_bus().declare_exchange("events"));
  auto taker = queue_bound_to("q", {"a.b", "a.*", "#", "#.b", "a.b"});
  EXPECT_EQ(publish("a.b", "v"), 1U);
  EXPECT_EQ(receive_all(taker).size(), 1U);
  EXPECT_EQ(ok(the_bus().bindings()).size(), 4U);
}

TEST_F(Routing, FollowsBindingsAsTheyComeAndGo) {
  ok(the_bus().declare_exchange("events"));
  EXPECT_EQ(publish("a", "before"), 0U);
  auto taker = queue_bound_to("q", {"a"});
  EXPECT_EQ(publish("a", "bound"), 1U);
  ok(the_bus().unbind("events", "q", "a"));
  EXPECT_EQ(publish("a", "after"), 0U);
  EXPECT_EQ(receive_all(taker), (std::vector<std::string>{"bound"}));
  EXPECT_EQ(read_all(ok(the_bus().replay("events"))), (std::vector<std::string>{"before", "bound", "after"}))
      << "the log has them all";
}

TEST_F(Routing, MatchesByTheTypeOfTheExchange) {
  ok(the_bus().declare_exchange("direct", {.type = exchange_type::direct}));
  ok(the_bus().declare_exchange("fanout", {.type = exchange_type::fanout}));
  ok(the_bus().declare_queue("q"));
  ok(the_bus().bind("direct", "q", "a.*"));
  ok(the_bus().bind("fanout", "q", "whatever"));
  const auto routed = [&](const char* exchange, const char* key) {
    return ok(the_bus().publish(exchange, key, record{"v"})).routed;
  };
  EXPECT_EQ(routed("direct", "a.*"), 1U);
  EXPECT_EQ(routed("direct", "a.b"), 0U);
  EXPECT_EQ(routed("fanout", "x"), 1U);
}

TEST_F(Routing, KeepsTheOrderOfEachRoutingKeyOverPartitions) {
  ok(the_bus().declare_exchange("events", {.partitions = 4}));
  auto taker = queue_bound_to("q", {"#"});
  for (int i = 0; i < 60; ++i) publish("key." + std::to_string(i % 5), std::to_string(i));
  std::vector<int> last(5, -1);
  std::size_t count = 0;
  while (auto d = ok(taker.receive(at_once))) {
    const int value = std::stoi(std::string{d->record().value()});
    EXPECT_GT(value, last[static_cast<std::size_t>(value % 5)]);
    last[static_cast<std::size_t>(value % 5)] = value;
    ++count;
    ok(taker.ack(*d));
  }
  EXPECT_EQ(count, 60U);
}

/// A message that was received and is published once more, as a reply or into another exchange, brings the
/// time of its first record with it. That got into the exchange's log, whose times fell.
TEST_F(Routing, GivesMessagesTheTimeOfTheirCommitWhateverTheirRecordsSay) {
  ok(the_bus().declare_exchange("events"));
  auto taker = queue_bound_to("q", {"a"});
  const auto first = ok(the_bus().publish("events", "a", record{"v"}));
  const auto got = ok(taker.receive(at_once));
  ASSERT_TRUE(got);
  the_clock().advance(std::chrono::seconds{5});
  const auto again = ok(the_bus().publish("events", "a", record{got->record()}));
  EXPECT_EQ(again.time, first.time + std::chrono::seconds{5});
  const auto copy = ok(taker.receive(at_once));
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->record().time(), again.time);
}

TEST_F(Routing, RefusesKeysAndRecordsBeyondTheirLimits) {
  ok(the_bus().declare_exchange("events"));
  EXPECT_THAT(the_bus().publish("events", std::string(255, 'k'), record{"v"}), succeeds());
  EXPECT_THAT(the_bus().publish("events", std::string(256, 'k'), record{"v"}),
              fails_with(errc::field_too_long));
  EXPECT_THAT(the_bus().publish("events", "k", record{std::string(std::size_t{17} << 20, 'x')}),
              fails_with(errc::record_too_large));
  EXPECT_THAT(the_bus().publish("absent", "k", record{"v"}), fails_with(errc::unknown_exchange));
  EXPECT_EQ(read_all(ok(the_bus().replay("events"))).size(), 1U);
}

}  // namespace
}  // namespace levada::test
