#include <string>
#include <vector>

#include "delayed_fixture.hpp"

namespace levada::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

/// What becomes of messages when their time has come.
class DelayedOutcomes : public delayed_fixture {
 protected:
  /// A queue that is bound to "e" beside "q", and holds as much as it may.
  void full_queue(queue_options options) {
    options.max_length = 1;
    queue("full", options);
    queue("grave");
    ok(the_bus().publish("", "full", record{"old"}));
    ok(the_bus().bind("e", "full", ""));
  }
  /// Has the store repaired, and opens it again.
  repair_report repaired() {
    close();
    auto report = ok(repair_store(store()));
    open();
    return report;
  }
};

// Full queues

TEST_F(DelayedOutcomes, AQueueThatRefusesMessagesDoesNotGetThemAndOthersDo) {
  full_queue(
      {.overflow = overflow::reject_publish, .dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  later(seconds{10}, "new");
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 1), ElementsAre("new"));
  EXPECT_THAT(ready("full"), ElementsAre("old"));
  EXPECT_THAT(ready("grave"), IsEmpty());
  EXPECT_EQ(counts().delayed, 0U) << "it is over";
  expect_sound();
}

TEST_F(DelayedOutcomes, ARefusedMessageBecomesADeadLetterWhereTheQueueSaysSo) {
  full_queue({.overflow = overflow::reject_publish_dlx,
              .dead_letter_exchange = "",
              .dead_letter_routing_key = "grave"});
  ok(the_bus().publish("e", "key", record{"new"}.header("a", "b"), {.delay = seconds{10}}));
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 1), ElementsAre("new"));
  EXPECT_THAT(ready("full"), ElementsAre("old"));
  const auto graves = ok(the_bus().peek("grave", 10));
  ASSERT_EQ(graves.size(), 1U);
  const auto buried = *graves.begin();
  EXPECT_EQ(buried.value(), "new");
  EXPECT_EQ(std::get<std::string_view>(*buried.header("a")), "b");
  const auto deaths = deaths_of(buried);
  ASSERT_EQ(deaths.size(), 1U);
  EXPECT_EQ(deaths[0].queue, "full");
  EXPECT_EQ(deaths[0].reason, dead_letter_reason::maxlen);
  EXPECT_EQ(deaths[0].exchange, "e");
  EXPECT_EQ(deaths[0].routing_key, "key");
  expect_sound();
}

TEST_F(DelayedOutcomes, AQueueThatDropsItsHeadTakesThemInPlaceOfIt) {
  full_queue({.dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  later(seconds{10}, "1");
  later(seconds{10}, "2");
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 2), ElementsAre("1", "2"));
  EXPECT_THAT(ready("full"), ElementsAre("2"));
  EXPECT_THAT(ready("grave"), ElementsAre("old", "1"));
  expect_sound();
}

TEST_F(DelayedOutcomes, RoomCountsWhenTheyComeAndNotWhenTheyArePublished) {
  full_queue({.overflow = overflow::reject_publish});
  EXPECT_THAT(the_bus().publish("e", "", record{"now"}), fails_with(errc::queue_full));
  later(seconds{10}, "1");
  later(seconds{10}, "2");
  EXPECT_THAT(take("full", 1), ElementsAre("old"));
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 2), ElementsAre("1", "2"));
  EXPECT_THAT(ready("full"), ElementsAre("1"));
}

// Nobody there

TEST_F(DelayedOutcomes, AMessageForWhichThereIsNoQueueCountsAsUnroutable) {
  later(seconds{10}, "v");
  ok(the_bus().unbind("e", "q", ""));
  EXPECT_EQ(counts().unroutable, 0U) << "it is not known yet";
  the_clock().advance(seconds{10});
  route_what_is_due();
  EXPECT_EQ(counts().unroutable, 1U);
  EXPECT_EQ(counts().routed, 1U) << "that which all waited for";
  EXPECT_EQ(counts().delayed, 0U);
  EXPECT_THAT(log_of("e"), ElementsAre("v"));
}

TEST_F(DelayedOutcomes, TheAlternateExchangeGetsWhatNothingElseDoes) {
  exchange("other");
  queue("rest");
  ok(the_bus().bind("other", "rest", ""));
  exchange("first", {.alternate_exchange = "other"});
  later(seconds{10}, "v", "first");
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("rest", 1), ElementsAre("v"));
}

// Times to live

TEST_F(DelayedOutcomes, TimeToLiveCountsFromWhenTheyEnterTheQueue) {
  queue("short", {.message_ttl = seconds{5}});
  ok(the_bus().bind("e", "short", ""));
  later(seconds{10}, "queue's");
  ok(try_later(seconds{10}, record{"own"}.expiration(seconds{3})));
  the_clock().advance(seconds{10});
  EXPECT_THAT(take("q", 2), ElementsAre("queue's", "own"));
  the_clock().advance(milliseconds{2'999});
  EXPECT_THAT(ready("short"), ElementsAre("queue's", "own"));
  the_clock().advance(milliseconds{1});
  EXPECT_THAT(ready("short"), ElementsAre("queue's"));
  the_clock().advance(milliseconds{1'999});
  EXPECT_THAT(ready("short"), ElementsAre("queue's"));
  the_clock().advance(milliseconds{1});
  EXPECT_THAT(ready("short"), IsEmpty());
}

// Exchanges that go

TEST_F(DelayedOutcomes, NothingIsRoutedForAnExchangeThatHasBeenDeleted) {
  const auto receipt = later(seconds{10}, "v");
  ok(the_bus().delete_exchange("e"));
  EXPECT_THAT(waiting(), IsEmpty());
  EXPECT_THAT(the_bus().cancel(receipt), fails_with(errc::unknown_exchange));
  exchange("e");
  ok(the_bus().bind("e", "q", ""));
  EXPECT_THAT(waiting(), IsEmpty()) << "this is another one";
  EXPECT_FALSE(ok(the_bus().cancel(receipt)));
  the_clock().advance(seconds{10});
  route_what_is_due();
  EXPECT_THAT(ready("q"), IsEmpty());
  expect_sound();
}

TEST_F(DelayedOutcomes, ThoseOfADeletedExchangeDoNotHideOthersInTheListing) {
  exchange("other");
  later(seconds{10}, "1");
  later(seconds{10}, "2");
  later(seconds{20}, "3", "other");
  ok(the_bus().delete_exchange("e"));
  const auto first = ok(the_bus().delayed(1));
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].exchange, "other");
}

TEST_F(DelayedOutcomes, TheLogOfADeletedExchangeGoesWithMaintenanceThoughSomethingWaitsInIt) {
  for (int i = 0; i < 600; ++i) later(seconds{10}, "v");
  maintain();
  EXPECT_EQ(segment_files().size(), 1U);
  ok(the_bus().delete_exchange("e"));
  maintain();
  EXPECT_THAT(segment_files(), IsEmpty());
  EXPECT_THAT(waiting(), IsEmpty());
  EXPECT_EQ(counts().delayed, 0U);
  expect_sound();
}

TEST_F(DelayedOutcomes, AnExchangeThatIsNotDurableTakesThemWithIt) {
  exchange("passing", {.durable = false});
  ok(the_bus().bind("passing", "q", ""));
  later(seconds{10}, "1", "passing");
  later(seconds{20}, "2");
  reopen();
  ASSERT_EQ(waiting().size(), 1U);
  EXPECT_EQ(waiting()[0].exchange, "e");
  the_clock().advance(seconds{20});
  EXPECT_THAT(take("q", 1), ElementsAre("2"));
  maintain();
  expect_sound();
}

// Retention

TEST_F(DelayedOutcomes, RetentionSparesThemUntilTheyAreRoutedAndSettled) {
  exchange("brief", {.retention = {.age = seconds{1}}});
  ok(the_bus().bind("brief", "q", ""));
  ok(the_bus().publish("brief", "", record{"settled"}));
  take("q", 1);
  later(hours{1}, "later", "brief");
  the_clock().advance(minutes{30});
  maintain();
  EXPECT_THAT(log_of("brief"), ElementsAre("later"));
  maintain();
  reopen();
  maintain();
  the_clock().advance(minutes{30});
  {
    auto consumer = ok(the_bus().consume("q"));
    const auto d = ok(consumer.receive(in_a_while));
    ASSERT_TRUE(d.has_value());
    EXPECT_EQ(d->record().value(), "later");
    maintain();
    EXPECT_THAT(log_of("brief"), ElementsAre("later")) << "a queue has it";
    ok(consumer.ack(*d));
  }
  maintain();
  EXPECT_THAT(log_of("brief"), IsEmpty());
  expect_sound();
}

TEST_F(DelayedOutcomes, RetentionDoesNotSpareThoseThatWereCancelled) {
  exchange("brief", {.retention = {.age = seconds{1}}});
  const auto receipt = later(hours{1}, "v", "brief");
  the_clock().advance(seconds{2});
  maintain();
  EXPECT_THAT(log_of("brief"), ElementsAre("v"));
  EXPECT_TRUE(ok(the_bus().cancel(receipt)));
  maintain();
  EXPECT_THAT(log_of("brief"), IsEmpty());
}

TEST_F(DelayedOutcomes, ThoseWhoseRecordsWereRemovedByForceAreNeverRouted) {
  exchange("brief", {.retention = {.age = seconds{1}, .force = true}});
  ok(the_bus().bind("brief", "q", ""));
  later(seconds{10}, "1", "brief");
  later(seconds{10}, "2");
  the_clock().advance(seconds{5});
  maintain();
  EXPECT_THAT(log_of("brief"), IsEmpty());
  expect_sound();
  EXPECT_TRUE(repaired().sound());
  the_clock().advance(seconds{5});
  route_what_is_due();
  EXPECT_THAT(ready("q"), ElementsAre("2"));
  EXPECT_EQ(counts().delayed, 0U);
  expect_sound();
}

// Dead letters

TEST_F(DelayedOutcomes, ADelayedMessageCanBeRejectedAsAnyOther) {
  queue("work", {.dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  ok(the_bus().bind("e", "work", ""));
  later(seconds{10}, "v");
  the_clock().advance(seconds{10});
  auto consumer = ok(the_bus().consume("work"));
  const auto d = ok(consumer.receive(in_a_while));
  ASSERT_TRUE(d.has_value());
  ok(consumer.nack(*d, requeue::no));
  EXPECT_THAT(ready("grave"), ElementsAre("v"));
}

}  // namespace
}  // namespace levada::test
