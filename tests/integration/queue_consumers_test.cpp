#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include "queue_world.hpp"

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

using SingleActiveConsumer = queue_world;
using ConsumerPriority = queue_world;
using ConsumerTimeout = queue_world;

// Who of several gets messages

TEST_F(SingleActiveConsumer, GetsAllUntilItIsClosedAndLeavesTheRestToTheNext) {
  queue("q", {.single_active_consumer = true});
  auto first = consume("q", {.prefetch = 2});
  auto second = consume("q");
  send("q", {"1", "2", "3"});
  EXPECT_EQ(next(second), "none");
  EXPECT_EQ(next(first), "1");
  EXPECT_EQ(next(first), "2");
  EXPECT_EQ(next(second), "none") << "though the active one has no room";
  ok(first.ack(delivery_tag{1}));
  auto waits = second.async_receive(hours{1}, use_future);
  first.close();
  const auto d = ok(waits.get());
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(d->record().value(), "2");
  EXPECT_TRUE(d->redelivered());
  EXPECT_EQ(next(second), "3");
  expect_sound();
}

TEST_F(SingleActiveConsumer, IsFollowedByTheOneThatComesFirst) {
  queue("q", {.single_active_consumer = true});
  auto active = consume("q", {.prefetch = 1});
  auto low = consume("q", {.prefetch = 1, .priority = -1});
  auto plain = consume("q", {.prefetch = 1});
  auto high = consume("q", {.prefetch = 1, .priority = 5});
  auto late = consume("q", {.prefetch = 1, .priority = 5});
  send("q", {"1"});
  EXPECT_EQ(next(high), "none") << "who is active stays so";
  const std::vector<queue_consumer*> order{&active, &high, &late, &plain, &low};
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t k = i + 1; k < order.size(); ++k) EXPECT_EQ(next(*order[k]), "none") << i << ' ' << k;
    EXPECT_EQ(next(*order[i]), "1") << i;
    order[i]->close();
  }
}

TEST_F(ConsumerPriority, LeavesTheLowerOneWhatTheHigherHasNoRoomFor) {
  queue("q");
  auto low = consume("q", {.prefetch = 10, .priority = -1});
  auto high = consume("q", {.prefetch = 2});
  send("q", {"1", "2"});
  EXPECT_EQ(next(low), "none") << "whether the other asks for them yet or not";
  EXPECT_EQ(next(high), "1");
  send("q", {"3"});
  EXPECT_EQ(next(high), "2");
  EXPECT_EQ(next(low), "3");
  ok(high.ack(delivery_tag{1}));
  send("q", {"4"});
  EXPECT_EQ(next(low), "none") << "there is room again";
  auto waits = low.async_receive(hours{1}, use_future);
  high.close();
  const auto d = ok(waits.get());
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(d->record().value(), "2") << "what it had returns";
  EXPECT_EQ(next(low), "4");
}

TEST_F(ConsumerPriority, WakesTheLowerOneForWhatIsBeyondTheRoom) {
  queue("q");
  auto low = consume("q");
  auto high = consume("q", {.prefetch = 1, .priority = 1});
  auto waits = low.async_receive(hours{1}, use_future);
  send("q", {"1"});
  EXPECT_EQ(next(high), "1");
  send("q", {"2"});
  const auto d = ok(waits.get());
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(d->record().value(), "2");
}

TEST_F(ConsumerPriority, OfZeroPrefetchLeavesNothing) {
  queue("q");
  auto low = consume("q");
  auto high = consume("q", {.prefetch = 0, .priority = 1});
  for (int i = 0; i < 200; ++i) send("q", {std::to_string(i)});
  EXPECT_EQ(next(low), "none");
  EXPECT_EQ(receive_all(high).size(), 200U);
}

TEST_F(ConsumerPriority, LetsEqualOnesCompete) {
  queue("q");
  auto a = consume("q", {.prefetch = 1, .priority = 3});
  auto b = consume("q", {.prefetch = 1, .priority = 3});
  auto low = consume("q", {.prefetch = 1});
  send("q", {"1", "2", "3"});
  EXPECT_EQ(next(b), "1");
  EXPECT_EQ(next(a), "2");
  EXPECT_EQ(next(low), "3");
}

// Deliveries that are not settled in time

TEST_F(ConsumerTimeout, ClosesTheConsumerAndReturnsItsDeliveries) {
  queue("q");
  send("q", {"1", "2"});
  auto slow = consume("q", {.timeout = seconds{5}});
  EXPECT_EQ(next(slow), "1");
  auto other = consume("q");
  the_clock().advance(milliseconds{4'999});
  EXPECT_THAT(slow.receive(at_once), succeeds()) << "not yet";
  the_clock().advance(milliseconds{1});
  for (const char* value : {"1", "2"}) {
    const auto d = ok(other.receive(in_a_while));
    ASSERT_TRUE(d.has_value());
    EXPECT_EQ(d->record().value(), value);
    EXPECT_TRUE(d->redelivered());
  }
  const auto tells = fails_telling(errc::consumer_timed_out, "5000 ms");
  EXPECT_THAT(slow.receive(at_once), tells);
  EXPECT_THAT(slow.ack(delivery_tag{1}), tells);
  EXPECT_THAT(slow.nack(delivery_tag{1}), tells);
  EXPECT_THAT(slow.nack(delivery_tag{1}, requeue::no), tells);
  EXPECT_THAT(slow.ack_up_to(delivery_tag{1}), tells);
  EXPECT_THAT(slow.async_ack(delivery_tag{1}, use_future).get(), tells);
  EXPECT_THAT(slow.async_nack(delivery_tag{1}, requeue::yes, use_future).get(), tells);
  EXPECT_THAT(the_bus().transact([&](transaction& t) { return t.ack(slow, delivery_tag{1}); }), tells);
  EXPECT_EQ(ok(the_bus().queue("q")).consumers, 1U);
  slow.close();
  EXPECT_THAT(slow.receive(at_once), tells) << "why it ended stays what it was";
  expect_sound();
}

TEST_F(ConsumerTimeout, CountsForEachDeliveryFromWhenItWasReceived) {
  queue("q");
  send("q", {"1", "2", "3", "4"});
  auto taker = consume("q", {.timeout = seconds{5}});
  auto witness = consume("q", {.priority = -1});
  EXPECT_EQ(next(taker), "1");
  the_clock().advance(seconds{3});
  EXPECT_EQ(next(taker), "2");
  ok(taker.ack(delivery_tag{1}));
  the_clock().advance(seconds{3});
  EXPECT_EQ(next(taker), "3");
  ok(taker.ack(delivery_tag{2}));
  ok(taker.nack(delivery_tag{3}, requeue::no));
  the_clock().advance(hours{1});
  EXPECT_EQ(next(taker), "4") << "which was fetched long ago";
  the_clock().advance(seconds{5});
  EXPECT_EQ(next(witness, in_a_while), "4");
  EXPECT_THAT(taker.receive(at_once), fails_with(errc::consumer_timed_out));
}

TEST_F(ConsumerTimeout, DoesNotCountWhatIsReturnedInTime) {
  queue("q");
  send("q", {"1"});
  auto taker = consume("q", {.timeout = seconds{5}});
  for (std::uint64_t n = 1; n <= 3; ++n) {
    EXPECT_EQ(next(taker), "1");
    the_clock().advance(seconds{4});
    ok(taker.nack(delivery_tag{n}));
  }
  EXPECT_EQ(next(taker), "1");
}

TEST_F(ConsumerTimeout, AnswersAReceiveThatWaits) {
  queue("q");
  send("q", {"1"});
  auto taker = consume("q", {.prefetch = 1, .timeout = seconds{5}});
  EXPECT_EQ(next(taker), "1");
  auto waits = taker.async_receive(hours{1}, use_future);
  the_clock().advance(seconds{5});
  EXPECT_THAT(waits.get(), fails_telling(errc::consumer_timed_out, "5000 ms"));
}

TEST_F(ConsumerTimeout, HandsOverToTheNextActiveConsumer) {
  queue("q", {.single_active_consumer = true});
  send("q", {"1"});
  auto active = consume("q", {.timeout = seconds{5}});
  auto second = consume("q");
  EXPECT_EQ(next(active), "1");
  auto waits = second.async_receive(hours{1}, use_future);
  the_clock().advance(seconds{5});
  const auto d = ok(waits.get());
  ASSERT_TRUE(d.has_value());
  EXPECT_TRUE(d->redelivered());
}

TEST_F(ConsumerTimeout, TakesAQueueAlongThatGoesWithItsLastConsumer) {
  queue("q", {.auto_delete = true});
  send("q", {"1"});
  auto taker = consume("q", {.timeout = seconds{5}});
  EXPECT_EQ(next(taker), "1");
  the_clock().advance(seconds{5});
  const auto end = std::chrono::steady_clock::now() + in_a_while;
  while (the_bus().queue("q") && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_THAT(the_bus().queue("q"), fails_with(errc::unknown_queue));
}

TEST_F(ConsumerTimeout, IsRefusedBelowAMillisecond) {
  queue("q");
  EXPECT_THAT(the_bus().consume("q", {.timeout = milliseconds{0}}),
              fails_telling(errc::invalid_argument, "timeout"));
  EXPECT_THAT(the_bus().consume("q", {.timeout = milliseconds{-1}}), fails_with(errc::invalid_argument));
  EXPECT_EQ(ok(the_bus().queue("q")).consumers, 0U);
}

}  // namespace
}  // namespace levada::test
