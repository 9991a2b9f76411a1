#include <emergency_call/proof.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <common/failure.hpp>

namespace emergency {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One line calls twice, another once. The host is killed after it has handed call 2 over to its two
// subscribers, of which one has received it.
const std::vector<std::string> good_events{
    "called 1 40,-75,EMS: FALL VICTIM,2024-03-01 12:00,OLD TOWN,MILL ROAD 1 APT 4B",
    "called 2 40,-75,EMS: FALL VICTIM,2024-03-01 12:01,OLD TOWN,MILL ROAD 1 APT 4B",
    "called 3 40,-75,Fire: FIRE ALARM,2024-03-01 12:02,ASHFORD,LONG WALK 2",
    "started",
    "acknowledged 1 new",
    "acknowledged 2 new",
    "joined 1 old-town.#",
    "handed 1 0 0 1",
    "delivered 1 1",
    "accepted 1",
    "committed 0 1",
    "joined 2 old-town.mill-road-1.4b",
    "handed 2 0 1 2",
    "delivered 2 2",
    "killed",
    "started",
    "acknowledged 3 again",
    "joined 1 old-town.#",
    "handed 2 0 1 1",
    "delivered 1 2",
    "accepted 2",
    "joined 2 ashford.#",
    "handed 3 1 0 1",
    "delivered 2 3",
    "accepted 3",
    "committed 0 2",
    "committed 1 1",
};

const std::string first_line = "old-town.mill-road-1.4b";
const std::string second_line = "ashford.long-walk-2.main";

class Proof : public ::testing::Test {
 protected:
  Proof() : events{good_events} {
    stored.alerts = {alert(1), alert(2), alert(3)};
    stored.handed = {alert(1), alert(2), alert(2), alert(3)};
    stored.acceptances = {alert(1), alert(2), alert(3)};
  }

  static stored_record alert(call_id id) {
    const auto text = good_events[id - 1].substr(std::string{"called N "}.size());
    return {id, id == 3 ? second_line : first_line, text, levada::partition_id{id == 3 ? 1U : 0U}};
  }

  void replace(const std::string& event, const std::vector<std::string>& with) {
    const auto at = std::find(events.begin(), events.end(), event);
    ASSERT_NE(at, events.end()) << event;
    events.insert(events.erase(at), with.begin(), with.end());
  }
  void append(const std::vector<std::string>& more) { events.insert(events.end(), more.begin(), more.end()); }

  [[nodiscard]] std::vector<claim> proof() const {
    witness seen;
    for (const auto& e : events) seen.see(parse_event(e));
    return prove(seen, stored);
  }
  /// The violations of the claim that promises this.
  [[nodiscard]] std::vector<std::string> violations_of(const std::string& promise) const {
    const auto claims = proof();
    for (const auto& c : claims) {
      if (c.promise == promise) return c.violations;
    }
    ADD_FAILURE() << "nobody promises that " << promise;
    return {};
  }

  std::vector<std::string> events;
  store_contents stored;
};

constexpr auto nothing_lost = "no acknowledged call was lost";
constexpr auto nothing_added = "no call was stored twice or made up";
constexpr auto exactly_its_subscribers = "each alert went to just its line's subscribers";
constexpr auto no_wrong_line = "no alert was delivered to a wrong line";
constexpr auto order_held = "order per line held";
constexpr auto again_after_kill_only = "nothing was handed over again but after a kill";
constexpr auto accepted_once = "each call was accepted, and once";
constexpr auto sound = "the store is sound, and all work is done";

TEST_F(Proof, HoldsWhenAllWentWell) {
  EXPECT_TRUE(all_hold(proof()));
  for (const auto& c : proof()) EXPECT_THAT(c.violations, IsEmpty()) << c.promise;
  EXPECT_THAT(render(proof()).back(), HasSubstr("PROVED: "));
}

TEST_F(Proof, ShowsWhatFailedAndGivesAnotherVerdict) {
  stored.alerts.pop_back();
  EXPECT_FALSE(all_hold(proof()));
  const auto lines = render(proof());
  EXPECT_THAT(lines.at(0), HasSubstr("✗ no acknowledged call was lost"));
  EXPECT_THAT(lines.at(1),
              HasSubstr("call 3 from ashford.long-walk-2.main was acknowledged and is not stored"));
  EXPECT_THAT(lines.back(), HasSubstr("NOT PROVED"));
}

TEST_F(Proof, ShowsTheFirstFewOfManyViolations) {
  for (int n = 0; n < 9; ++n) stored.check.problems.push_back({"main", "a page is torn"});
  const auto lines = render(proof());
  EXPECT_THAT(lines.at(lines.size() - 2), HasSubstr("and 4 more"));
}

TEST_F(Proof, CatchesALostCall) {
  stored.alerts.erase(stored.alerts.begin() + 1);
  EXPECT_THAT(violations_of(nothing_lost),
              ElementsAre("call 2 from old-town.mill-road-1.4b was acknowledged and is not stored"));
}

TEST_F(Proof, CatchesACallStoredWithOtherContent) {
  stored.alerts[0].value = "something else";
  EXPECT_THAT(violations_of(nothing_lost), ElementsAre(HasSubstr("is stored as 'something else'")));
}

TEST_F(Proof, CatchesACallerWhoNeverGotAnAnswer) {
  replace("acknowledged 3 again", {});
  EXPECT_THAT(violations_of(nothing_lost),
              ElementsAre("call 3 from ashford.long-walk-2.main was never acknowledged"));
}

TEST_F(Proof, CatchesACallStoredTwice) {
  stored.alerts.push_back(alert(3));
  EXPECT_THAT(violations_of(nothing_added), ElementsAre("call 3 is stored 2 times"));
}

TEST_F(Proof, CatchesACallThatNobodyMade) {
  stored.alerts.push_back({9, second_line, "", levada::partition_id{1}});
  EXPECT_THAT(violations_of(nothing_added), ElementsAre("nobody made call 9"));
}

TEST_F(Proof, CatchesAnAlertThatWasHandedToNobody) {
  replace("handed 3 1 0 1", {});
  replace("delivered 2 3", {});
  EXPECT_THAT(violations_of(exactly_its_subscribers), ElementsAre("call 3 was handed to nobody"));
}

TEST_F(Proof, CatchesAnAlertThatTheExchangePutIntoTooFewQueues) {
  replace("handed 2 0 1 2", {"handed 2 0 1 1"});
  EXPECT_THAT(violations_of(exactly_its_subscribers),
              ElementsAre("call 2 went into 1 queues while its line had 2 subscribers"));
}

TEST_F(Proof, CatchesASubscriberWhoGotNothing) {
  replace("delivered 1 2", {});
  EXPECT_THAT(violations_of(exactly_its_subscribers),
              ElementsAre("call 2 was for subscribers 1 and received by nobody of host 2"));
}

TEST_F(Proof, CatchesASubscriberWhoGotAnAlertAfterLeaving) {
  replace("handed 3 1 0 1", {"left 2", "joined 3 ashford.#", "handed 3 1 0 1"});
  EXPECT_THAT(violations_of(exactly_its_subscribers),
              ElementsAre("call 3 was for subscribers 3 and received by 2 of host 2"));
}

TEST_F(Proof, CatchesADeliveryWithoutAHanding) {
  append({"delivered 1 1"});
  EXPECT_THAT(violations_of(exactly_its_subscribers),
              ElementsAre("call 1 was received without being handed over by host 2"));
}

TEST_F(Proof, CatchesARepeatedDelivery) {
  append({"delivered 2 3"});
  EXPECT_THAT(violations_of(exactly_its_subscribers), ElementsAre(HasSubstr("twice: call 3")));
}

TEST_F(Proof, CatchesADeliveryToAWrongLine) {
  append({"delivered 1 3"});
  EXPECT_THAT(violations_of(no_wrong_line),
              ElementsAre("call 3 from ashford.long-walk-2.main, to subscriber 1 for old-town.# of host 2"));
}

TEST_F(Proof, CatchesADeliveryToANeighbour) {
  append({"joined 3 old-town.mill-road-1.4a", "delivered 3 2"});
  EXPECT_THAT(violations_of(no_wrong_line), ElementsAre(HasSubstr("for old-town.mill-road-1.4a")));
}

TEST_F(Proof, CatchesAMessageUnderAWrongRoutingKey) {
  stored.handed[3].line = first_line;
  EXPECT_THAT(violations_of(no_wrong_line),
              ElementsAre("call 3 from ashford.long-walk-2.main is stored under old-town.mill-road-1.4b"));
}

TEST_F(Proof, CatchesAnOrderBreakInTheTopic) {
  std::swap(stored.alerts[0], stored.alerts[1]);
  EXPECT_THAT(violations_of(order_held),
              ElementsAre("topic: call 1 of old-town.mill-road-1.4b comes after call 2"));
}

TEST_F(Proof, CatchesAnOrderBreakInTheExchange) {
  std::swap(stored.handed[0], stored.handed[1]);
  EXPECT_THAT(violations_of(order_held),
              ElementsAre("exchange: call 1 of old-town.mill-road-1.4b comes after call 2"));
}

TEST_F(Proof, CatchesALineInTwoPartitions) {
  stored.alerts[1].partition = levada::partition_id{1};
  EXPECT_THAT(violations_of(order_held),
              ElementsAre("topic: old-town.mill-road-1.4b stands in two partitions"));
}

TEST_F(Proof, CatchesAnOrderBreakAtASubscriber) {
  append({"delivered 1 1"});
  EXPECT_THAT(violations_of(order_held), ElementsAre(HasSubstr("delivered late: call 1 from")));
}

TEST_F(Proof, AllowsEarlierCallsAgainAfterAKill) {
  replace("acknowledged 3 again", {"acknowledged 3 again", "killed", "started"});
  EXPECT_TRUE(all_hold(proof()));
}

TEST_F(Proof, CatchesASecondHandingByOneHost) {
  replace("handed 3 1 0 1", {"handed 3 1 0 1", "handed 3 1 0 1"});
  stored.handed.push_back(alert(3));
  EXPECT_THAT(violations_of(again_after_kill_only), ElementsAre("host 2 handed call 3 over twice"));
}

TEST_F(Proof, CatchesASecondHandingOfWhatWasCommitted) {
  replace("handed 2 0 1 1", {"handed 1 0 0 1", "delivered 1 1", "handed 2 0 1 1"});
  stored.handed.insert(stored.handed.begin(), alert(1));
  EXPECT_THAT(violations_of(again_after_kill_only),
              ElementsAre("host 2 handed call 1 over although that was committed before"));
}

TEST_F(Proof, CatchesAHandingThatTheExchangeDoesNotHold) {
  stored.handed.pop_back();
  EXPECT_THAT(violations_of(again_after_kill_only),
              ElementsAre("call 3 was handed over 1 times and stands in the exchange 0 times"));
}

TEST_F(Proof, CatchesMessagesThatNobodyToldOfBeyondOneForEachKill) {
  stored.handed.push_back(alert(3));
  EXPECT_THAT(violations_of(again_after_kill_only), IsEmpty());
  stored.handed.push_back(alert(3));
  EXPECT_THAT(violations_of(again_after_kill_only),
              ElementsAre("call 3 was handed over 1 times and stands in the exchange 3 times"));
}

TEST_F(Proof, CatchesALostAcceptanceAndARepeatedOne) {
  stored.acceptances[2] = alert(1);
  EXPECT_THAT(violations_of(accepted_once),
              ElementsAre("call 1, which was told to be accepted, is stored as accepted 2 times",
                          "call 3, which was told to be accepted, is stored as accepted 0 times"));
}

TEST_F(Proof, CatchesWorkLeftUndoneAndADamagedStore) {
  stored.alerts_to_do = 4;
  stored.queues = 1;
  stored.check.problems.push_back({"main", "a page is torn"});
  EXPECT_THAT(violations_of(sound),
              ElementsAre("main: a page is torn", "the notifier has not committed 4 alerts",
                          "1 queues are left over"));
}

TEST(Witness, RefusesEventsThatCannotBe) {
  witness seen;
  seen.see(host_started{});
  EXPECT_THROW(seen.see(call_acknowledged{1, false}), example::failure);
  EXPECT_THROW(seen.see(call_accepted{1}), example::failure);
  seen.see(parse_event(good_events[0]));
  EXPECT_THROW(seen.see(alert_delivered{1, 1}), example::failure);
}

TEST(Witness, KnowsHowFarTheNotifierIsBehind) {
  witness seen;
  for (std::size_t n = 0; n < 6; ++n) seen.see(parse_event(good_events[n]));
  EXPECT_EQ(seen.backlog(), 2U);
  seen.see(parse_event("committed 0 1"));
  EXPECT_EQ(seen.backlog(), 1U);
  seen.see(parse_event("committed 0 2"));
  EXPECT_EQ(seen.backlog(), 0U);
}

}  // namespace
}  // namespace emergency
