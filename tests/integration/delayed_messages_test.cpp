#include <string>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include "delayed_fixture.hpp"

namespace levada::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

using DelayedMessages = delayed_fixture;

// Waiting

TEST_F(DelayedMessages, StandInTheLogAtOnceAndInNoQueueBeforeTheirTime) {
  later(seconds{10}, "v");
  EXPECT_THAT(log_of("e"), ElementsAre("v"));
  EXPECT_THAT(ready("q"), IsEmpty());
  the_clock().advance(milliseconds{9'998});
  route_what_is_due();
  EXPECT_THAT(ready("q"), IsEmpty()) << "there is a millisecond left";
  the_clock().advance(milliseconds{1});
  EXPECT_THAT(take("q", 1), ElementsAre("v"));
  EXPECT_THAT(log_of("e"), ElementsAre("v")) << "it is stored once";
  expect_sound();
}

TEST_F(DelayedMessages, HaveReceiptsThatSayWhenTheyAreDue) {
  const auto now = ok(the_bus().publish("e", "", record{"now"}));
  EXPECT_FALSE(now.due.has_value());
  const auto then = later(seconds{10}, "then");
  EXPECT_EQ(then.topic, "e");
  EXPECT_EQ(then.offset, offset{1});
  EXPECT_EQ(then.routed, 0U);
  EXPECT_EQ(then.refused, 0U);
  EXPECT_EQ(then.due, then.time + seconds{10});
}

TEST_F(DelayedMessages, ComeByTheTimesAtWhichTheyAreDue) {
  later(seconds{30}, "c");
  later(seconds{10}, "a");
  later(seconds{20}, "b");
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 1), ElementsAre("a"));
  EXPECT_THAT(ready("q"), IsEmpty());
  the_clock().advance(seconds{20});
  EXPECT_THAT(take("q", 2), ElementsAre("b", "c"));
}

TEST_F(DelayedMessages, ComeInTheOrderOfPublishingWhereTheyAreDueTogether) {
  later(seconds{10}, "1");
  later(seconds{10}, "2");
  the_clock().advance(seconds{4});
  later(seconds{6}, "3");
  later(seconds{5}, "0");
  the_clock().advance(hours{1});
  EXPECT_THAT(take("q", 4), ElementsAre("0", "1", "2", "3"));
}

TEST_F(DelayedMessages, DoNotHoldUpThoseWithoutADelay) {
  later(seconds{10}, "then");
  EXPECT_EQ(ok(the_bus().publish("e", "", record{"now"})).routed, 1U);
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 2), ElementsAre("now", "then"));
}

TEST_F(DelayedMessages, AreRoutedByTheBindingsOfThen) {
  queue("other");
  later(seconds{10}, "v");
  ok(the_bus().unbind("e", "q", ""));
  ok(the_bus().bind("e", "other", ""));
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("other", 1), ElementsAre("v"));
  EXPECT_THAT(ready("q"), IsEmpty());
}

TEST_F(DelayedMessages, GoThroughTheDefaultExchangeToAQueueByName) {
  const auto receipt = ok(the_bus().publish("", "q", record{"v"}, {.delay = seconds{10}}));
  EXPECT_EQ(receipt.due, receipt.time + seconds{10});
  ASSERT_EQ(waiting().size(), 1U);
  EXPECT_EQ(waiting()[0].exchange, "");
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 1), ElementsAre("v"));
  EXPECT_TRUE(ok(the_bus().cancel(ok(the_bus().publish("", "q", record{"w"}, {.delay = seconds{10}})))));
}

TEST_F(DelayedMessages, AreDeliveredAsTheyWerePublished) {
  ok(the_bus().publish("e", "the.key", record{"key", "value"}.header("a", "b").message_id("7"),
                       {.delay = seconds{10}}));
  const auto published = ok(ok(the_bus().replay("e")).next()).begin()->time();
  maintain();
  the_clock().advance(seconds{10});
  auto consumer = ok(the_bus().consume("q"));
  const auto d = ok(consumer.receive(in_a_while));
  ASSERT_TRUE(d.has_value());
  const record_view& r = d->record();
  EXPECT_EQ(r.topic(), "e");
  EXPECT_EQ(r.routing_key(), "the.key");
  EXPECT_EQ(r.key(), "key");
  EXPECT_EQ(r.value(), "value");
  EXPECT_EQ(r.properties().message_id, "7");
  EXPECT_EQ(std::get<std::string_view>(*r.header("a")), "b");
  EXPECT_EQ(r.time(), published);
  EXPECT_FALSE(d->redelivered());
}

TEST_F(DelayedMessages, AllComeOnceEachWhereManyAreDueTogether) {
  constexpr int count = 2'000;
  for (int i = 0; i < count;) {
    std::vector<message> some;
    for (const int end = i + 500; i < end; ++i) some.emplace_back("e", "", record{std::to_string(i)});
    ok(the_bus().publish(some, {.delay = seconds{10}}));
  }
  EXPECT_EQ(counts().delayed, std::uint64_t{count});
  the_clock().advance(seconds{10});
  const auto came = take("q", count);
  ASSERT_EQ(came.size(), std::size_t{count});
  for (int i = 0; i < count; ++i) ASSERT_EQ(came[static_cast<std::size_t>(i)], std::to_string(i));
  EXPECT_EQ(ok(the_bus().queue("q")).messages, 0U);
  EXPECT_EQ(counts().delayed, 0U);
  EXPECT_EQ(counts().routed, std::uint64_t{count});
  expect_sound();
}

// Listing and cancelling

TEST_F(DelayedMessages, AreListedByWhenTheyAreDueAndCounted) {
  exchange("other");
  const auto second = later(seconds{20}, "2");
  const auto first = later(seconds{10}, "1", "other");
  later(seconds{30}, "3");
  EXPECT_EQ(counts().delayed, 3U);
  const auto all = waiting();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].exchange, "other");
  EXPECT_EQ(all[0].partition, first.partition);
  EXPECT_EQ(all[0].offset, first.offset);
  EXPECT_EQ(all[0].due, *first.due);
  EXPECT_EQ(all[1].exchange, "e");
  EXPECT_EQ(all[1].due, *second.due);
  EXPECT_EQ(all[2].offset, offset{1});
  EXPECT_EQ(ok(the_bus().delayed(2)).size(), 2U);
  EXPECT_THAT(ok(the_bus().delayed(0)), IsEmpty());
  the_clock().advance(seconds{20});
  take("q", 1);
  EXPECT_EQ(waiting().size(), 1U);
  EXPECT_EQ(counts().delayed, 1U);
}

TEST_F(DelayedMessages, AreCancelledByTheirReceipt) {
  const auto receipt = later(seconds{10}, "no");
  later(seconds{10}, "yes");
  EXPECT_TRUE(ok(the_bus().cancel(receipt)));
  EXPECT_FALSE(ok(the_bus().cancel(receipt))) << "the second time";
  EXPECT_EQ(counts().delayed, 1U);
  the_clock().advance(seconds{10});
  route_what_is_due();
  EXPECT_THAT(ready("q"), ElementsAre("yes"));
  EXPECT_THAT(log_of("e"), ElementsAre("no", "yes")) << "it stays in the log";
  expect_sound();
}

TEST_F(DelayedMessages, AreCancelledAsListed) {
  later(seconds{10}, "1");
  later(seconds{20}, "2");
  EXPECT_TRUE(ok(the_bus().cancel(waiting().at(1))));
  ASSERT_EQ(waiting().size(), 1U);
  EXPECT_EQ(waiting()[0].offset, offset{0});
}

TEST_F(DelayedMessages, AreCancelledAfterTheStoreWasOpenedAnew) {
  const auto receipt = later(seconds{10}, "1");
  later(seconds{20}, "2");
  reopen();
  EXPECT_TRUE(ok(the_bus().cancel(receipt)));
  EXPECT_TRUE(ok(the_bus().cancel(waiting().at(0))));
  reopen();
  EXPECT_FALSE(ok(the_bus().cancel(receipt)));
  EXPECT_THAT(waiting(), IsEmpty());
  the_clock().advance(seconds{20});
  route_what_is_due();
  EXPECT_THAT(ready("q"), IsEmpty());
}

TEST_F(DelayedMessages, CannotBeCancelledOnceTheyAreRouted) {
  const auto receipt = later(seconds{10}, "v");
  const auto listed = waiting().at(0);
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 1), ElementsAre("v"));
  EXPECT_FALSE(ok(the_bus().cancel(receipt)));
  EXPECT_FALSE(ok(the_bus().cancel(listed)));
}

TEST_F(DelayedMessages, AreNotMixedUpWithThoseThatNeverWaited) {
  EXPECT_FALSE(ok(the_bus().cancel(ok(the_bus().publish("e", "", record{"v"})))));
  auto wrong = later(seconds{10}, "v");
  wrong.offset = offset{0};
  EXPECT_FALSE(ok(the_bus().cancel(wrong)));
  EXPECT_EQ(waiting().size(), 1U);
}

TEST_F(DelayedMessages, NeedAnExchangeThatIsThere) {
  EXPECT_THAT(try_later(seconds{10}, record{"v"}, "none"), fails_with(errc::unknown_exchange));
  auto receipt = later(seconds{10}, "v");
  receipt.topic = "none";
  EXPECT_THAT(the_bus().cancel(receipt), fails_with(errc::unknown_exchange));
}

// Restarts

TEST_F(DelayedMessages, WaitOnAfterTheStoreIsOpenedAnew) {
  later(seconds{10}, "v");
  the_clock().advance(seconds{4});
  reopen();
  EXPECT_EQ(counts().delayed, 1U);
  the_clock().advance(milliseconds{5'998});
  route_what_is_due();
  EXPECT_THAT(ready("q"), IsEmpty());
  the_clock().advance(milliseconds{1});
  EXPECT_THAT(take("q", 1), ElementsAre("v"));
}

TEST_F(DelayedMessages, ComeAtOnceWhereTheirTimeCameWhileTheStoreWasClosed) {
  later(seconds{10}, "1");
  later(seconds{20}, "2");
  later(hours{2}, "3");
  close();
  the_clock().advance(hours{1});
  open();
  EXPECT_THAT(take("q", 2), ElementsAre("1", "2"));
  EXPECT_EQ(waiting().size(), 1U);
  expect_sound();
}

TEST_F(DelayedMessages, WaitInACopyOfTheStoreToo) {
  later(seconds{10}, "v");
  const temporary_directory elsewhere;
  ok(the_bus().backup(elsewhere / "copy"));
  auto copy = ok(bus::open(elsewhere / "copy", options()));
  EXPECT_EQ(ok(copy.delayed(10)).size(), 1U);
  the_clock().advance(seconds{10});
  auto consumer = ok(copy.consume("q"));
  EXPECT_EQ(ok(consumer.receive(in_a_while)).value().record().value(), "v");
  EXPECT_THAT(take("q", 1), ElementsAre("v"));
}

// Refusals

TEST_F(DelayedMessages, CannotBeMandatory) {
  EXPECT_THAT(the_bus().publish("e", "", record{"v"}, {.mandatory = true, .delay = seconds{1}}),
              fails_telling(errc::invalid_argument, "mandatory"));
  EXPECT_THAT(log_of("e"), IsEmpty());
}

TEST_F(DelayedMessages, WaitNoNegativeTimeAndAtMostTenThousandDays) {
  EXPECT_THAT(try_later(milliseconds{-1}, record{"v"}), fails_with(errc::invalid_argument));
  EXPECT_THAT(try_later(queue_time_max + milliseconds{1}, record{"v"}), fails_with(errc::invalid_argument));
  EXPECT_THAT(try_later(milliseconds::max(), record{"v"}), fails_with(errc::invalid_argument));
  EXPECT_THAT(log_of("e"), IsEmpty());
  EXPECT_EQ(ok(try_later(milliseconds{0}, record{"v"})).routed, 1U);
  const auto last = ok(try_later(queue_time_max, record{"v"}));
  EXPECT_EQ(last.due, last.time + queue_time_max);
  expect_sound();
}

// Many as one

TEST_F(DelayedMessages, WaitTogetherWhereTheyArePublishedTogether) {
  queue("other");
  const std::vector<message> two{{"e", "", record{"1"}}, {"", "other", record{"2"}}};
  const auto receipts = ok(the_bus().publish(two, {.delay = seconds{10}}));
  ASSERT_EQ(receipts.size(), 2U);
  for (const auto& r : receipts) {
    EXPECT_EQ(r.due, r.time + seconds{10});
    EXPECT_EQ(r.routed, 0U);
  }
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 1), ElementsAre("1"));
  EXPECT_THAT(take("other", 1), ElementsAre("2"));
  EXPECT_THAT(the_bus().publish(two, {.delay = milliseconds{-1}}),
              fails_telling(errc::invalid_argument, "number 0"));
}

TEST_F(DelayedMessages, ArePartOfTheTransactionThatPublishesThem) {
  const auto publish = [](transaction& t) { return t.publish("e", "", record{"v"}, {.delay = seconds{10}}); };
  EXPECT_THAT(the_bus().transact([&](transaction& t) -> result<void> {
    ok(publish(t));
    return error{errc::invalid_argument, "changed my mind"};
  }),
              fails_with(errc::invalid_argument));
  EXPECT_EQ(counts().delayed, 0U);
  EXPECT_THAT(log_of("e"), IsEmpty());
  const auto done = ok(the_bus().transact(publish));
  ASSERT_EQ(done.published.size(), 1U);
  EXPECT_EQ(done.published[0].due, done.published[0].time + seconds{10});
  EXPECT_TRUE(ok(the_bus().cancel(done.published[0])));

  auto collecting = ok(the_bus().begin());
  ok(publish(collecting));
  collecting.abort();
  EXPECT_EQ(counts().delayed, 0U);
  collecting = ok(the_bus().begin());
  ok(publish(collecting));
  EXPECT_EQ(counts().delayed, 0U) << "nothing before the commit";
  EXPECT_TRUE(ok(collecting.commit()).published.at(0).due.has_value());
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 1), ElementsAre("v"));
  expect_sound();
}

TEST_F(DelayedMessages, CanBePublishedListedAndCancelledAsynchronously) {
  constexpr auto& token = boost::asio::use_future;
  const publish_options in_a_moment{.delay = seconds{10}};
  const auto one = ok(the_bus().async_publish("e", "", record{"1"}, in_a_moment, token).get());
  EXPECT_EQ(one.due, one.time + seconds{10});
  const std::vector<message> more{{"e", "", record{"2"}}, {"e", "", record{"3"}}};
  EXPECT_TRUE(ok(the_bus().async_publish(more, in_a_moment, token).get()).at(1).due.has_value());
  const auto listed = ok(the_bus().async_delayed(2, token).get());
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_TRUE(ok(the_bus().async_cancel(listed[1], token).get()));
  EXPECT_FALSE(ok(the_bus().async_cancel(listed[1], token).get()));
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 2), ElementsAre("1", "3"));
}

}  // namespace
}  // namespace levada::test
