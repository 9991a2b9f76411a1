#include <support/bus_fixture.hpp>

#include <future>

namespace levada::test {
namespace {

using namespace std::chrono_literals;

/// Blocking calls in threads of their own; the manual clock tells when they have begun to wait.
class Waiting : public bus_fixture {
 protected:
  Waiting() { ok(the_bus().declare_topic("orders")); }
};

TEST_F(Waiting, APollIsWokenByACommit) {
  auto reader = join("g", {"orders"});
  auto polled = std::async(std::launch::async, [&] { return ok(reader.poll(1h)).size(); });
  the_clock().wait_for_waiters(1);
  ok(the_bus().publish("orders", record{"v"}));
  EXPECT_EQ(polled.get(), 1U);
}

TEST_F(Waiting, APollEndsEmptyWhenItsTimeIsUp) {
  auto reader = join("g", {"orders"});
  auto polled = std::async(std::launch::async, [&] { return ok(reader.poll(250ms)).size(); });
  the_clock().wait_for_waiters(1);
  the_clock().advance(250ms);
  EXPECT_EQ(polled.get(), 0U);
}

TEST_F(Waiting, ClosingTheBusEndsEveryWait) {
  ok(the_bus().declare_queue("work"));
  auto reader = join("g", {"orders"});
  auto taker = ok(the_bus().consume("work"));
  auto passing = ok(the_bus().replay("orders", {.from = from_latest{}}));
  auto polled = std::async(std::launch::async, [&] { return reader.poll(1h); });
  auto received = std::async(std::launch::async, [&] { return taker.receive(1h); });
  auto replayed = std::async(std::launch::async, [&] { return passing.next(1h); });
  the_clock().wait_for_waiters(3);
  ok(the_bus().close());
  EXPECT_THAT(polled.get(), fails_with(errc::closed));
  EXPECT_THAT(received.get(), fails_with(errc::closed));
  EXPECT_THAT(replayed.get(), fails_with(errc::closed));
}

TEST_F(Waiting, AReceiveIsWokenByAMessage) {
  ok(the_bus().declare_exchange("events"));
  ok(the_bus().declare_queue("work"));
  ok(the_bus().bind("events", "work", "#"));
  auto taker = ok(the_bus().consume("work"));
  auto received = std::async(std::launch::async, [&] { return ok(taker.receive(1h)).has_value(); });
  the_clock().wait_for_waiters(1);
  ok(the_bus().publish("events", "k", record{"v"}));
  EXPECT_TRUE(received.get());
}

TEST_F(Waiting, AReceiveThatWaitsForPrefetchIsWokenByAnAck) {
  ok(the_bus().declare_exchange("events"));
  ok(the_bus().declare_queue("work"));
  ok(the_bus().bind("events", "work", "#"));
  for (int i = 0; i < 2; ++i) ok(the_bus().publish("events", "k", record{"v"}));
  auto taker = ok(the_bus().consume("work", {.prefetch = 1}));
  const auto first = *ok(taker.receive(at_once));
  auto received = std::async(std::launch::async, [&] { return ok(taker.receive(1h)).has_value(); });
  the_clock().wait_for_waiters(1);
  ok(taker.ack(first));
  EXPECT_TRUE(received.get());
}

TEST_F(Waiting, AReceiveIsWokenWhenAnotherConsumerGivesBack) {
  ok(the_bus().declare_exchange("events"));
  ok(the_bus().declare_queue("work"));
  ok(the_bus().bind("events", "work", "#"));
  ok(the_bus().publish("events", "k", record{"v"}));
  auto holder = ok(the_bus().consume("work"));
  const auto held = *ok(holder.receive(at_once));
  auto taker = ok(the_bus().consume("work"));
  auto received = std::async(std::launch::async, [&] { return ok(taker.receive(1h))->redelivered(); });
  the_clock().wait_for_waiters(1);
  ok(holder.nack(held));
  EXPECT_TRUE(received.get());
}

TEST_F(Waiting, AMemberTakesOverAsSoonAsAnotherLeaves) {
  ok(the_bus().publish("orders", record{"v"}));
  auto first = join("g", {"orders"});
  auto second = join("g", {"orders"});
  auto polled = std::async(std::launch::async, [&] { return ok(second.poll(1h)).size(); });
  the_clock().wait_for_waiters(1);
  first.close();
  EXPECT_EQ(polled.get(), 1U);
}

TEST_F(Waiting, AMemberTakesOverWhenAHangingOneIsOverdue) {
  ok(the_bus().declare_topic("pairs", {.partitions = 2}));
  for (unsigned p = 0; p < 2; ++p) ok(ok(the_bus().topic("pairs")).publish(partition_id{p}, record{"v"}));
  auto hanging = join("g", {"pairs"});
  auto second = join("g", {"pairs"});
  auto polled = std::async(std::launch::async, [&] { return ok(second.poll(1h)).size(); });
  the_clock().wait_for_waiters(1);
  the_clock().advance(60s);
  EXPECT_GE(polled.get(), 1U);
  EXPECT_THAT(hanging.commit(), fails_with(errc::fenced));
}

}  // namespace
}  // namespace levada::test
