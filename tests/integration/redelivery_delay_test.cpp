#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

/// Waits for what happens without anybody asking for it.
constexpr milliseconds in_a_while{20'000};

class RedeliveryDelay : public bus_fixture {
 protected:
  void queue(const queue_options& options) { ok(the_bus().declare_queue("q", options)); }
  /// Has messages wait so long.
  void queue(const redelivery_delay& delay) { queue({.redelivery_delay = delay}); }
  void send(const std::vector<std::string>& values) {
    for (const auto& v : values) ok(the_bus().publish("", "q", record{v}));
  }
  queue_consumer consume(const queue_consumer_options& options = {.prefetch = 1}) {
    return ok(the_bus().consume("q", options));
  }
  static std::string next(queue_consumer& from, milliseconds patience = at_once) {
    const auto d = ok(from.receive(patience));
    return d ? std::string{d->record().value()} : "none";
  }
  /// Receives the next message, and returns it.
  static void return_next(queue_consumer& to, const std::string& value) {
    const auto d = ok(to.receive(at_once));
    ASSERT_TRUE(d.has_value()) << value;
    EXPECT_EQ(d->record().value(), value);
    ok(to.nack(*d));
  }
  void return_first(const std::string& value) {
    auto taker = consume();
    return_next(taker, value);
  }
  /// That the message of `taker` waits so long and no longer.
  void expect_wait(queue_consumer& taker, microseconds wait) {
    the_clock().advance(wait - microseconds{1});
    EXPECT_EQ(next(taker), "none") << wait.count();
    the_clock().advance(microseconds{1});
    EXPECT_NE(next(taker), "none") << wait.count();
  }
  queue_info info(const std::string& name = "q") { return ok(the_bus().queue(name)); }
  void expect_counts(std::uint64_t ready, std::uint64_t unacked, std::uint64_t waiting) {
    const auto q = info();
    EXPECT_EQ(q.messages, ready + unacked);
    EXPECT_EQ(q.ready, ready);
    EXPECT_EQ(q.unacked, unacked);
    EXPECT_EQ(q.waiting, waiting);
  }
  std::vector<std::string> ready(const std::string& name = "q") {
    std::vector<std::string> values;
    for (const auto& r : ok(the_bus().peek(name, 100))) values.emplace_back(r.value());
    return values;
  }
  /// Asks until it is so, without doing anything about it.
  template <class Condition>
  static bool comes_true(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + in_a_while;
    while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return condition();
  }
};

TEST_F(RedeliveryDelay, KeepsWhatIsReturnedFromConsumersForSoLong) {
  queue(redelivery_delay{.first = milliseconds{1'500}});
  send({"1"});
  auto taker = consume();
  for (std::uint32_t n = 1; n <= 4; ++n) {
    const auto d = ok(taker.receive(at_once));
    ASSERT_TRUE(d.has_value()) << n;
    EXPECT_EQ(d->delivery_count(), n);
    EXPECT_EQ(d->redelivered(), n > 1);
    ok(taker.nack(*d));
    the_clock().advance(milliseconds{1'500} - microseconds{1});
    EXPECT_EQ(next(taker), "none") << n;
    the_clock().advance(microseconds{1});
  }
  EXPECT_EQ(ok(the_bus().stats()).queues.requeued, 4U);
  expect_sound();
}

TEST_F(RedeliveryDelay, GrowsByItsFactorUpToTheMost) {
  queue(redelivery_delay{.first = seconds{1}, .factor = 2.5, .most = seconds{10}});
  send({"1"});
  auto taker = consume();
  EXPECT_EQ(next(taker), "1");
  std::uint64_t tag = 0;
  for (const int wait : {1'000, 2'500, 6'250, 10'000, 10'000}) {
    ok(taker.nack(delivery_tag{++tag}));
    expect_wait(taker, milliseconds{wait});
  }
}

TEST_F(RedeliveryDelay, StaysAtItsLongestHoweverOftenAMessageComesBack) {
  queue(redelivery_delay{.first = milliseconds{1}, .factor = 1'000, .most = seconds{1}});
  send({"1"});
  auto taker = consume();
  for (int n = 0; n < 150; ++n) {  // 1,000^149 is beyond all numbers
    return_next(taker, "1");
    the_clock().advance(seconds{1});
  }
}

TEST_F(RedeliveryDelay, IsMadeShorterByChanceWithinItsBounds) {
  queue(redelivery_delay{.first = seconds{1}, .jitter = 0.5});
  constexpr std::uint64_t count = 50;
  for (std::uint64_t i = 0; i < count; ++i) send({std::to_string(i)});
  auto taker = consume({.prefetch = 0});
  ASSERT_EQ(receive_all(taker).size(), count);
  for (std::uint64_t tag = 1; tag <= count; ++tag) ok(taker.nack(delivery_tag{tag}));
  the_clock().advance(milliseconds{500} - microseconds{1});
  EXPECT_THAT(receive_all(taker), IsEmpty());
  the_clock().advance(milliseconds{250} + microseconds{1});
  const std::size_t sooner = receive_all(taker).size();
  EXPECT_GT(sooner, count / 5);
  EXPECT_LT(sooner, count - count / 5) << "they do not come back together";
  the_clock().advance(milliseconds{250});
  EXPECT_EQ(receive_all(taker).size(), count - sooner);
}

TEST_F(RedeliveryDelay, KeepsThePlaceOfMessages) {
  queue(redelivery_delay{});
  send({"1", "2", "3", "4"});
  auto taker = consume({.prefetch = 4});
  ASSERT_THAT(receive_all(taker), ElementsAre("1", "2", "3", "4"));
  ok(taker.nack(delivery_tag{3}));
  ok(taker.nack(delivery_tag{1}));
  taker.close();
  EXPECT_THAT(ready(), ElementsAre("2", "4")) << "which have come back with their consumer, and do not wait";
  the_clock().advance(seconds{1});
  EXPECT_TRUE(comes_true([&] { return ready().size() == 4; })) << "without being asked for";
  EXPECT_THAT(ready(), ElementsAre("1", "2", "3", "4"));
  auto again = consume({.prefetch = 0});
  EXPECT_THAT(receive_all(again), ElementsAre("1", "2", "3", "4"));
  expect_sound();
}

TEST_F(RedeliveryDelay, LetsOthersPassMeanwhile) {
  queue(redelivery_delay{});
  send({"1", "2", "3"});
  auto taker = consume();
  return_next(taker, "1");
  EXPECT_EQ(next(taker), "2");
  ok(taker.ack(delivery_tag{2}));
  the_clock().advance(seconds{1});
  EXPECT_EQ(next(taker), "1");
}

TEST_F(RedeliveryDelay, CountsWhatWaitsAsUnackedAndHoldsNoPrefetch) {
  queue(redelivery_delay{});
  send({"1", "2", "3"});
  auto taker = consume();
  return_next(taker, "1");
  expect_counts(2, 1, 1);
  return_next(taker, "2");
  EXPECT_EQ(next(taker), "3");
  expect_counts(0, 3, 2);
  taker.close();
  expect_counts(1, 2, 2);
  EXPECT_THAT(the_bus().delete_queue("q", {.if_empty = true}), fails_with(errc::not_empty));
  the_clock().advance(seconds{1});
  EXPECT_TRUE(comes_true([&] { return info().waiting == 0; }));
  expect_counts(3, 0, 0);
}

TEST_F(RedeliveryDelay, EndsWhereADeliveryLimitIsReached) {
  ok(the_bus().declare_queue("grave"));
  queue({.dead_letter_exchange = "",
         .dead_letter_routing_key = "grave",
         .delivery_limit = 1,
         .redelivery_delay = redelivery_delay{}});
  send({"1"});
  auto taker = consume();
  return_next(taker, "1");
  expect_counts(0, 1, 1);
  the_clock().advance(seconds{1});
  const auto d = ok(taker.receive(at_once));
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(d->delivery_count(), 2U);
  ok(taker.nack(*d));
  auto mourner = ok(the_bus().consume("grave"));
  const auto dead = ok(mourner.receive(in_a_while));
  ASSERT_TRUE(dead.has_value()) << "at once, without the clock moving";
  EXPECT_EQ(deaths_of(dead->record()).at(0).reason, dead_letter_reason::delivery_limit);
  expect_counts(0, 0, 0);
  expect_sound();
}

TEST_F(RedeliveryDelay, IsForReturnsAndNotForConsumersThatGo) {
  queue(redelivery_delay{});
  send({"1"});
  for (std::uint32_t n = 1; n <= 3; ++n) {
    auto taker = consume();
    EXPECT_EQ(ok(taker.receive(at_once)).value().delivery_count(), n);
  }
  auto slow = consume({.timeout = seconds{5}});
  EXPECT_EQ(next(slow), "1");
  auto other = consume();
  the_clock().advance(seconds{5});
  EXPECT_EQ(next(other, in_a_while), "1");
  reopen();
  auto last = consume();
  EXPECT_EQ(next(last), "1");
}

TEST_F(RedeliveryDelay, EndsWithAFullSecondOnceTheStoreIsOpenedAnew) {
  queue(redelivery_delay{.first = milliseconds{2'500}});
  send({"1", "2"});
  return_first("1");
  reopen();
  EXPECT_THAT(ready(), ElementsAre("2"));
  auto taker = consume({.prefetch = 0});
  EXPECT_EQ(next(taker), "2");
  expect_counts(0, 2, 1);
  the_clock().advance(seconds{3} - microseconds{1});
  EXPECT_EQ(next(taker), "none");
  auto waits = taker.async_receive(hours{1}, use_future);
  the_clock().advance(microseconds{1});
  const auto d = ok(waits.get());
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(d->record().value(), "1");
  EXPECT_TRUE(d->redelivered());
  EXPECT_EQ(d->delivery_count(), 2U);
  expect_sound();
}

TEST_F(RedeliveryDelay, IsOverWhereItEndedWhileTheStoreWasClosed) {
  queue(redelivery_delay{});
  send({"1", "2"});
  return_first("1");
  close();
  the_clock().advance(seconds{1});
  open();
  EXPECT_THAT(ready(), ElementsAre("1", "2"));
}

TEST_F(RedeliveryDelay, CountsWhatWaitsBehindOthersOnceTheStoreIsOpenedAnew) {
  queue(redelivery_delay{});
  send({"1", "2", "3"});
  auto taker = consume({.prefetch = 2});
  EXPECT_EQ(next(taker), "1");
  return_next(taker, "2");
  taker.close();
  expect_counts(2, 1, 1);
  reopen();
  EXPECT_THAT(ready(), ElementsAre("1", "3"));
  expect_counts(2, 1, 1);
}

TEST_F(RedeliveryDelay, SurvivesTheDeathOfItsHost) {
  close();
  {
    child_process host{[&](const auto& say) {
      open();
      queue(redelivery_delay{.first = milliseconds{1'500}});
      send({"1", "2"});
      auto taker = consume({.prefetch = 2});
      return_next(taker, "1");
      EXPECT_EQ(next(taker), "2");
      say("returned");
      child_process::wait_for_go();
      return 0;
    }};
    ASSERT_EQ(host.read_line(), "returned");
    host.kill(SIGKILL);
    host.wait();
  }
  open();
  EXPECT_THAT(ready(), ElementsAre("2")) << "which had not been returned";
  expect_counts(1, 1, 1);
  auto taker = consume({.prefetch = 0});
  EXPECT_EQ(next(taker), "2");
  expect_wait(taker, seconds{2});
  expect_sound();
}

TEST_F(RedeliveryDelay, DoesNotKeepMessagesBeyondTheirTime) {
  ok(the_bus().declare_queue("grave"));
  queue({.message_ttl = seconds{3},
         .dead_letter_exchange = "",
         .dead_letter_routing_key = "grave",
         .redelivery_delay = redelivery_delay{.first = seconds{5}}});
  send({"1"});
  auto taker = consume();
  return_next(taker, "1");
  auto mourner = ok(the_bus().consume("grave"));
  the_clock().advance(seconds{5});
  EXPECT_EQ(next(taker), "none");
  const auto d = ok(mourner.receive(in_a_while));
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(deaths_of(d->record()).at(0).reason, dead_letter_reason::expired);
  EXPECT_EQ(info().messages, 0U);
  expect_sound();
}

TEST_F(RedeliveryDelay, KeepsWhatWaitsFromBeingPurged) {
  queue(redelivery_delay{});
  send({"1", "2"});
  return_first("1");
  EXPECT_EQ(ok(the_bus().purge_queue("q")), 1U);
  expect_counts(0, 1, 1);
  reopen();
  EXPECT_EQ(ok(the_bus().purge_queue("q")), 0U);
  auto taker = consume();
  the_clock().advance(seconds{1});
  EXPECT_EQ(next(taker), "1");
}

TEST_F(RedeliveryDelay, GoesWithItsQueue) {
  queue(redelivery_delay{});
  send({"1"});
  return_first("1");
  ok(the_bus().delete_queue("q"));
  queue(redelivery_delay{});
  auto taker = consume();
  the_clock().advance(hours{1});
  EXPECT_EQ(next(taker), "none");
  expect_counts(0, 0, 0);
  expect_sound();
}

TEST_F(RedeliveryDelay, LeavesRoomInItsQueueForOthers) {
  ok(the_bus().declare_queue("grave"));
  queue({.max_length = 1,
         .dead_letter_exchange = "",
         .dead_letter_routing_key = "grave",
         .redelivery_delay = redelivery_delay{}});
  send({"1"});
  return_first("1");
  send({"2"});
  EXPECT_EQ(info("grave").messages, 0U);
  expect_counts(1, 1, 1);
  the_clock().advance(seconds{1});
  // The dead letter is there with the same commit, but not every queue tells of it at the same moment.
  EXPECT_TRUE(comes_true([&] { return info().messages == 1 && info("grave").messages == 1; }))
      << "two ready ones are too many";
  EXPECT_THAT(ready(), ElementsAre("2"));
  EXPECT_THAT(ready("grave"), ElementsAre("1"));
}

TEST_F(RedeliveryDelay, LeavesRoomInItsQueueOnceTheStoreIsOpenedAnew) {
  queue({.max_length = 1, .redelivery_delay = redelivery_delay{}});
  send({"1"});
  auto taker = consume();
  EXPECT_EQ(next(taker), "1");
  send({"2"});
  auto other = consume();
  return_next(other, "2");
  taker.close();
  reopen();
  send({"3"});
  EXPECT_THAT(ready(), ElementsAre("3")) << "the only one that is ready, but for 1, which is older";
  // Its room is free again when the wait of 2 ends, or 2 would go as the oldest of two.
  auto last = consume({.prefetch = 2});
  EXPECT_EQ(next(last), "3");
  the_clock().advance(seconds{1});
  EXPECT_EQ(next(last), "2");
}

TEST_F(RedeliveryDelay, IsKeptByAsynchronousCallsAndWakesWhoWaits) {
  queue(redelivery_delay{});
  send({"1"});
  auto taker = consume();
  EXPECT_EQ(next(taker), "1");
  ok(taker.async_nack(delivery_tag{1}, requeue::yes, use_future).get());
  expect_counts(0, 1, 1);
  EXPECT_THAT(taker.nack(delivery_tag{1}), fails_with(errc::unknown_delivery));
  EXPECT_THAT(taker.async_nack(delivery_tag{1}, requeue::yes, use_future).get(),
              fails_with(errc::unknown_delivery));
  auto waits = taker.async_receive(hours{1}, use_future);
  the_clock().advance(seconds{1});
  EXPECT_EQ(ok(waits.get())->record().value(), "1");
  ok(taker.nack(delivery_tag{2}));
  std::thread advances{[&] {
    the_clock().wait_for_waiters(2);  // the thread that rings, and the one that receives
    the_clock().advance(seconds{1});
  }};
  EXPECT_EQ(next(taker, hours{1}), "1");
  advances.join();
}

}  // namespace
}  // namespace levada::test
