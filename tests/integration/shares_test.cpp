// Share groups: a topic consumed record by record. The states and limits are those of Kafka's KIP-932.

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class Shares : public bus_fixture {
 protected:
  Shares() : bus_fixture{seals_everything} { ok(the_bus().declare_topic("jobs")); }

  static share_consumer_options from_the_beginning() {
    share_consumer_options o;
    o.reset = offset_reset::earliest;
    return o;
  }
  [[nodiscard]] share_consumer member(const share_consumer_options& o = from_the_beginning()) {
    return ok(the_bus().share_consume("workers", {"jobs"}, o));
  }
  void publish(int from, int to) {
    for (int i = from; i < to; ++i) ok(the_bus().publish("jobs", record{std::to_string(i)}));
  }
  static std::vector<std::string> values(const std::vector<delivery>& all) {
    std::vector<std::string> v;
    for (const auto& d : all) v.emplace_back(d.record().value());
    return v;
  }
  static std::vector<delivery> poll(share_consumer& c) { return ok(c.poll(at_once)); }
  static std::vector<std::string> poll_values(share_consumer& c) { return values(poll(c)); }
  [[nodiscard]] share_stats stats() { return ok(the_bus().stats()).shares; }
  [[nodiscard]] group_info group() { return ok(the_bus().groups()).at(0); }
};

TEST_F(Shares, ShareTheRecordsOfOnePartitionAmongMembers) {
  publish(0, 6);
  auto some = from_the_beginning();
  some.poll_records_max = 2;
  auto a = member(some);
  auto b = member(some);
  EXPECT_THAT(poll_values(a), ElementsAre("0", "1"));
  EXPECT_THAT(poll_values(b), ElementsAre("2", "3"));
  EXPECT_THAT(poll_values(a), ElementsAre("4", "5"));
  EXPECT_THAT(poll_values(b), IsEmpty());
}

TEST_F(Shares, NeverSeeAgainWhatWasAccepted) {
  publish(0, 3);
  {
    auto a = member();
    const auto got = poll(a);
    ASSERT_THAT(values(got), ElementsAre("0", "1", "2"));
    ok(a.acknowledge(got[1]));
    ok(a.acknowledge(got[2], acknowledge_type::reject));
  }
  reopen();
  auto a = member();
  const auto again = poll(a);
  ASSERT_THAT(values(again), ElementsAre("0"));
  EXPECT_TRUE(again[0].redelivered());
  EXPECT_EQ(again[0].delivery_count(), 2U);
  ok(a.acknowledge(again));
  EXPECT_EQ(group().in_flight, 0U);
  expect_sound();
}

TEST_F(Shares, GetWhatWasReleasedFirstAndInItsPlace) {
  publish(0, 4);
  auto a = member();
  const auto got = poll(a);
  publish(4, 5);
  ok(a.acknowledge(got[2], acknowledge_type::release));
  ok(a.acknowledge(got[0], acknowledge_type::release));
  auto b = member();
  const auto again = poll(b);
  EXPECT_THAT(values(again), ElementsAre("0", "2", "4"));
  EXPECT_EQ(again[0].delivery_count(), 2U);
  EXPECT_EQ(again[2].delivery_count(), 1U);
  EXPECT_FALSE(again[2].redelivered());
}

TEST_F(Shares, TakeBackWhatIsNotAcknowledgedInTime) {
  publish(0, 2);
  auto a = member();
  auto b = member();
  const auto got = poll(a);
  the_clock().advance(seconds{29});
  EXPECT_THAT(poll(b), IsEmpty());
  ok(a.acknowledge(got[1], acknowledge_type::renew));
  the_clock().advance(seconds{1});
  EXPECT_THAT(poll_values(b), ElementsAre("0"));
  const auto late = a.acknowledge(got[0]);
  ASSERT_THAT(late, fails_with(errc::unknown_delivery));
  EXPECT_THAT(late.error().message(), HasSubstr("30000 ms"));
  ok(a.acknowledge(got[1]));
  EXPECT_EQ(stats().expired, 1U);
}

TEST_F(Shares, RefuseALateAcknowledgementAlsoWhereNobodyElseHasLooked) {
  publish(0, 1);
  auto a = member();
  const auto got = poll(a);
  the_clock().advance(seconds{30});
  EXPECT_THAT(a.acknowledge(got[0]), fails_with(errc::unknown_delivery));
  EXPECT_THAT(a.acknowledge(got[0], acknowledge_type::renew), fails_with(errc::unknown_delivery));
  EXPECT_THAT(poll(a), SizeIs(1));
}

TEST_F(Shares, WakeAPollWhenSomethingComesBack) {
  publish(0, 1);
  auto a = member();
  auto b = member();
  const auto got = poll(a);
  auto waits = std::thread{[&] { EXPECT_THAT(values(ok(b.poll(hours{1}))), ElementsAre("0")); }};
  ok(a.acknowledge(got[0], acknowledge_type::release));
  waits.join();
  auto waits_for_time = std::thread{[&] { EXPECT_THAT(values(ok(a.poll(hours{1}))), ElementsAre("0")); }};
  the_clock().advance(seconds{30});
  waits_for_time.join();
  auto waits_for_a_record = std::thread{[&] { EXPECT_THAT(values(ok(b.poll(hours{1}))), ElementsAre("1")); }};
  publish(1, 2);
  waits_for_a_record.join();
}

TEST_F(Shares, GiveUpARecordThatWasHandedOutAsOftenAsItMay) {
  publish(0, 2);
  auto o = from_the_beginning();
  o.delivery_limit = 3;
  auto a = member(o);
  for (unsigned time = 1; time <= 3; ++time) {
    const auto got = poll(a);
    ASSERT_THAT(values(got), ElementsAre("0", "1"));
    EXPECT_EQ(got[0].delivery_count(), time);
    ok(a.acknowledge(got[0], acknowledge_type::release));
    the_clock().advance(seconds{30});
  }
  EXPECT_THAT(poll(a), IsEmpty());
  EXPECT_EQ(stats().exhausted, 2U);
  EXPECT_EQ(group().in_flight, 0U) << "what has expired for the last time is settled, too";
  reopen();
  auto b = member(o);
  EXPECT_THAT(poll(b), IsEmpty());
}

TEST_F(Shares, CountWhatACrashHasCutShort) {
  publish(0, 1);
  auto o = from_the_beginning();
  o.delivery_limit = 2;
  for (unsigned time = 1; time <= 2; ++time) {
    auto a = member(o);
    const auto got = poll(a);
    ASSERT_THAT(got, SizeIs(1));
    EXPECT_EQ(got[0].delivery_count(), time);
    reopen();  // as a crash does: who has acquired what, and until when, is not stored
    a.close();
  }
  auto a = member(o);
  EXPECT_THAT(poll(a), IsEmpty());
  EXPECT_EQ(group().in_flight, 0U);
}

TEST_F(Shares, AcknowledgeSeveralAtOnceOrNone) {
  publish(0, 4);
  auto a = member();
  auto b = member();
  const auto got = poll(a);
  ok(a.acknowledge(got[3]));
  EXPECT_THAT(a.acknowledge(got), fails_with(errc::unknown_delivery));
  EXPECT_THAT(b.acknowledge(got[0]), fails_with(errc::unknown_delivery)) << "it is another member's";
  const std::vector<delivery_tag> twice{got[0].tag(), got[1].tag(), got[0].tag()};
  ok(a.acknowledge(twice));
  EXPECT_EQ(group().in_flight, 1U);
  EXPECT_THAT(a.acknowledge(got[0]), fails_with(errc::unknown_delivery));
}

TEST_F(Shares, ReturnWhatAMemberHasWhenItGoes) {
  publish(0, 2);
  auto b = member();
  {
    auto a = member();
    EXPECT_THAT(poll(a), SizeIs(2));
    EXPECT_THAT(poll(b), IsEmpty());
  }
  EXPECT_THAT(poll_values(b), ElementsAre("0", "1"));
  EXPECT_EQ(stats().released, 2U);
  b.close();
  EXPECT_THAT(b.poll(at_once), fails_with(errc::closed));
  EXPECT_THAT(b.acknowledge(delivery_tag{1}), fails_with(errc::closed));
}

TEST_F(Shares, BeginWhereTheOptionsSayAndRememberThat) {
  publish(0, 2);
  the_clock().advance(hours{1});
  publish(2, 3);
  ok(the_bus().share_consume("latest", {"jobs"}));
  share_consumer_options recent;
  recent.reset = offset_reset::by_duration;
  recent.reset_duration = std::chrono::minutes{1};
  ok(the_bus().share_consume("recent", {"jobs"}, recent));
  publish(3, 4);
  reopen();
  auto latest = ok(the_bus().share_consume("latest", {"jobs"}));
  EXPECT_THAT(poll_values(latest), ElementsAre("3"));
  auto lately = ok(the_bus().share_consume("recent", {"jobs"}, recent));
  EXPECT_THAT(poll_values(lately), ElementsAre("2", "3"));
}

TEST_F(Shares, BoundWhatIsInFlight) {
  publish(0, 10);
  auto o = from_the_beginning();
  o.in_flight_max = 4;
  auto a = member(o);
  const auto got = poll(a);
  EXPECT_THAT(got, SizeIs(4));
  EXPECT_THAT(poll(a), IsEmpty());
  ok(a.acknowledge(got[3], acknowledge_type::release));
  EXPECT_THAT(poll_values(a), ElementsAre("3"));
  ok(a.acknowledge(got[0]));
  EXPECT_THAT(poll_values(a), ElementsAre("4"));
}

TEST_F(Shares, BoundTheBytesOfAPoll) {
  for (const char c : {'a', 'b', 'c'}) ok(the_bus().publish("jobs", record{std::string(600, c)}));
  ok(the_bus().publish("jobs", record{std::string(5'000, 'd')}));
  auto o = from_the_beginning();
  o.poll_bytes_max = 1'500;
  auto a = member(o);
  EXPECT_THAT(poll(a), SizeIs(2));
  EXPECT_THAT(poll(a), SizeIs(1));
  const auto large = poll(a);
  EXPECT_THAT(large, SizeIs(1)) << "a single larger one comes alone";
  a.close();
  auto b = member(o);
  EXPECT_THAT(poll(b), SizeIs(2)) << "so it is with what has come back";
  EXPECT_THAT(poll(b), SizeIs(1));
  EXPECT_THAT(poll(b), SizeIs(1));
}

TEST_F(Shares, ReadSeveralPartitionsAndTopicsInTurn) {
  ok(the_bus().declare_topic("tasks", {.partitions = 3}));
  for (unsigned p = 0; p < 3; ++p) {
    for (int i = 0; i < 2; ++i)
      ok(ok(the_bus().topic("tasks")).publish(partition_id{p}, record{fmt::format("{}/{}", p, i)}));
  }
  publish(0, 1);
  auto both = ok(the_bus().share_consume("workers", {"jobs", "tasks", "jobs"}, from_the_beginning()));
  EXPECT_THAT(poll_values(both), UnorderedElementsAre("0", "0/0", "0/1", "1/0", "1/1", "2/0", "2/1"));
  both.close();
  auto jobs = member();
  EXPECT_THAT(poll_values(jobs), ElementsAre("0")) << "what came back of another topic stays for others";
  auto tasks = ok(the_bus().share_consume("workers", {"tasks"}, from_the_beginning()));
  EXPECT_THAT(poll(tasks), SizeIs(6));
}

TEST_F(Shares, MeetATopicLater) {
  publish(0, 1);
  ok(the_bus().declare_topic("tasks"));
  ok(the_bus().publish("tasks", record{"early"}));
  auto jobs = member();
  EXPECT_THAT(poll(jobs), SizeIs(1));
  share_consumer_options latest;
  auto both = ok(the_bus().share_consume("workers", {"jobs", "tasks"}, latest));
  EXPECT_THAT(poll(both), IsEmpty()) << "it begins behind the newest there, and goes on where it was here";
  ok(the_bus().publish("tasks", record{"late"}));
  EXPECT_THAT(poll_values(both), ElementsAre("late"));
}

TEST_F(Shares, GoOnBehindWhatRetentionHasRemoved) {
  publish(0, 5);
  auto o = from_the_beginning();
  o.poll_records_max = 2;
  {
    auto a = member(o);
    EXPECT_THAT(poll_values(a), ElementsAre("0", "1"));
  }
  maintain();
  ok(the_bus().delete_records({"jobs", partition_id{0}}, offset{3}));
  auto a = member(o);
  EXPECT_THAT(poll_values(a), ElementsAre("3", "4"));
  EXPECT_EQ(group().in_flight, 2U) << "0 and 1 count as done";
  EXPECT_EQ(stats().removed, 3U);
  maintain();
  a.close();
  expect_sound();
}

TEST_F(Shares, DoWithoutWhatCompactionHasRemoved) {
  ok(the_bus().declare_topic("states", {.compaction = compaction_policy{.dirty_ratio = 0}}));
  for (const char* value : {"old", "older", "new"}) ok(the_bus().publish("states", record{"key", value}));
  auto a = ok(the_bus().share_consume("workers", {"states"}, from_the_beginning()));
  EXPECT_THAT(poll(a), SizeIs(3));
  a.close();
  maintain();
  maintain();
  ASSERT_THAT(read_all(ok(the_bus().replay("states", {.until = until_latest{}}))), ElementsAre("new"));
  auto b = ok(the_bus().share_consume("workers", {"states"}, from_the_beginning()));
  EXPECT_THAT(poll_values(b), ElementsAre("new"));
  EXPECT_THAT(poll(b), IsEmpty());
  EXPECT_EQ(group().in_flight, 1U);
}

TEST_F(Shares, HoldBackATopicThatWaitsForReaders) {
  ok(the_bus().set_retention("jobs", {.age = hours{1}, .wait_for_readers = true}));
  publish(0, 4);
  auto a = member();
  const auto got = poll(a);
  ok(a.acknowledge(got[0]));
  ok(a.acknowledge(got[2]));
  ok(a.acknowledge(got[3]));
  publish(4, 6);
  the_clock().advance(hours{2});
  const auto begin = [&] { return ok(the_bus().topics()).at(0).partitions.at(0).begin; };
  maintain();
  EXPECT_EQ(begin(), offset{1}) << "record 1 is in flight";
  const auto again = poll(a);
  EXPECT_THAT(values(again), ElementsAre("1", "4", "5"));
  ok(a.acknowledge(again[0]));
  maintain();
  EXPECT_EQ(begin(), offset{4});
}

TEST_F(Shares, TellOnceOfADeletedTopicAndReadTheOthersOn) {
  ok(the_bus().declare_topic("tasks"));
  publish(0, 2);
  ok(the_bus().publish("tasks", record{"task"}));
  auto a = ok(the_bus().share_consume("workers", {"jobs", "tasks"}, from_the_beginning()));
  const auto got = poll(a);
  ASSERT_THAT(got, SizeIs(3));
  ok(the_bus().delete_topic("jobs"));
  ok(the_bus().declare_topic("jobs"));
  publish(0, 1);
  const auto told = a.poll(at_once);
  ASSERT_THAT(told, fails_with(errc::unknown_topic));
  EXPECT_THAT(told.error().message(), HasSubstr("'jobs'"));
  ok(a.acknowledge(got[0]));
  ok(a.acknowledge(got[1], acknowledge_type::release));
  ok(the_bus().publish("tasks", record{"another"}));
  EXPECT_THAT(poll_values(a), ElementsAre("another"));
  EXPECT_EQ(group().in_flight, 2U) << "what was released of the deleted topic is done";
  auto b = member();
  EXPECT_THAT(poll_values(b), ElementsAre("0")) << "of the topic that has the name now";
  a.close();
  b.close();
  expect_sound();
}

TEST_F(Shares, AreNoConsumerGroups) {
  auto reader = join("readers", {"jobs"});
  EXPECT_THAT(the_bus().share_consume("readers", {"jobs"}), fails_with(errc::inequivalent));
  auto a = member();
  EXPECT_THAT(the_bus().join("workers", {"jobs"}), fails_with(errc::inequivalent));
  EXPECT_THAT(the_bus().assign("workers", {{"jobs", partition_id{0}}}), fails_with(errc::inequivalent));
  EXPECT_THAT(ok(the_bus().queues()), IsEmpty());
  EXPECT_THAT(the_bus().consume("workers"), fails_with(errc::unknown_queue));
  ok(the_bus().declare_queue("workers"));
  ok(the_bus().delete_queue("workers"));
  publish(0, 1);
  EXPECT_THAT(poll(a), SizeIs(1));
  reopen();
  EXPECT_THAT(the_bus().join("workers", {"jobs"}), fails_with(errc::inequivalent));
}

TEST_F(Shares, RefuseOptionsThatMakeNoSense) {
  const auto refuses = [&](auto change) {
    share_consumer_options o;
    change(o);
    EXPECT_THAT(the_bus().share_consume("workers", {"jobs"}, o), fails_with(errc::invalid_argument));
  };
  refuses([](auto& o) { o.delivery_limit = 0; });
  refuses([](auto& o) { o.delivery_limit = 65'536; });
  refuses([](auto& o) { o.lock_duration = milliseconds{0}; });
  refuses([](auto& o) { o.in_flight_max = 0; });
  refuses([](auto& o) { o.poll_records_max = 0; });
  refuses([](auto& o) { o.poll_bytes_max = 0; });
  refuses([](auto& o) { o.reset = offset_reset::none; });
  refuses([](auto& o) { o.reset_duration = milliseconds{-1}; });
  EXPECT_THAT(the_bus().share_consume("workers", {}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().share_consume("", {"jobs"}), fails_with(errc::name_invalid));
  EXPECT_THAT(the_bus().share_consume("workers", {"nothing"}), fails_with(errc::unknown_topic));
  ok(the_bus().declare_exchange("news"));
  EXPECT_THAT(the_bus().share_consume("workers", {"news"}), fails_with(errc::unknown_topic));
  EXPECT_THAT(ok(the_bus().groups()), IsEmpty());
}

TEST_F(Shares, HaveTheSameLimitsForAllTheirMembers) {
  auto a = member();
  auto other = from_the_beginning();
  other.delivery_limit = 4;
  EXPECT_THAT(the_bus().share_consume("workers", {"jobs"}, other), fails_with(errc::inequivalent));
  a.close();
  auto b = member(other);
  EXPECT_THAT(the_bus().share_consume("workers", {"jobs"}), fails_with(errc::inequivalent));
}

TEST_F(Shares, AreResetAndDeletedWhileNobodyIsInThem) {
  publish(0, 5);
  auto a = member();
  const auto got = poll(a);
  ok(a.acknowledge(got[1]));
  EXPECT_THAT(the_bus().delete_group("workers"), fails_with(errc::group_in_use));
  EXPECT_THAT(the_bus().delete_group("workers", {.dry_run = true}), fails_with(errc::group_in_use));
  offset_reset_options to{.to = offset{1}, .partitions = {}, .dry_run = false};
  EXPECT_THAT(the_bus().reset_offsets("workers", "jobs", to), fails_with(errc::group_in_use));
  a.close();
  const auto changes = ok(the_bus().reset_offsets("workers", "jobs", to));
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].from, offset{5});
  EXPECT_EQ(changes[0].to, offset{1});
  EXPECT_EQ(group().in_flight, 0U);
  {
    auto b = member();
    const auto again = poll(b);
    EXPECT_THAT(values(again), ElementsAre("1", "2", "3", "4"));
    EXPECT_EQ(again[0].delivery_count(), 1U);
    ok(b.acknowledge(again[0]));
  }
  ok(the_bus().delete_group("workers"));
  EXPECT_THAT(ok(the_bus().groups()), IsEmpty());
  auto c = member();
  EXPECT_THAT(poll(c), SizeIs(5));
  c.close();
  expect_sound();
}

TEST_F(Shares, AcknowledgeWithATransaction) {
  publish(0, 3);
  ok(the_bus().declare_topic("results"));
  auto a = member();
  const auto got = poll(a);
  {
    auto undone = ok(the_bus().begin());
    ok(undone.ack(a, got[0].tag()));
    ok(undone.publish("results", record{"undone"}));
  }
  {
    auto t = ok(the_bus().begin());
    ok(t.ack(a, got[0].tag()));
    ok(t.reject(a, got[1].tag()));
    ok(t.publish("results", record{"done"}));
    ok(t.commit());
  }
  ok(the_bus().transact([&](transaction& t) { return t.ack(a, got[2].tag()); }));
  EXPECT_EQ(group().in_flight, 0U);
  EXPECT_THAT(a.acknowledge(got[0]), fails_with(errc::unknown_delivery));
  EXPECT_THAT(read_all(ok(the_bus().replay("results", {.until = until_latest{}}))), ElementsAre("done"));
  auto t = ok(the_bus().begin());
  EXPECT_THAT(t.ack(a, got[0].tag()), fails_with(errc::unknown_delivery));
}

TEST_F(Shares, UndoATransactionWhoseRecordCameBackMeanwhile) {
  publish(0, 1);
  ok(the_bus().declare_topic("results"));
  auto a = member();
  const auto got = poll(a);
  auto t = ok(the_bus().begin());
  ok(t.publish("results", record{"late"}));
  ok(t.ack(a, got[0].tag()));
  the_clock().advance(seconds{30});
  EXPECT_THAT(t.commit(), fails_with(errc::unknown_delivery));
  EXPECT_THAT(read_all(ok(the_bus().replay("results", {.until = until_latest{}}))), IsEmpty());
  EXPECT_THAT(poll(a), SizeIs(1));
}

TEST_F(Shares, AreCounted) {
  publish(0, 6);
  auto a = member();
  const auto before = ok(the_bus().stats());
  const auto got = poll(a);
  ok(a.acknowledge(got[0]));
  ok(a.acknowledge(got[1], acknowledge_type::reject));
  ok(a.acknowledge(got[2], acknowledge_type::release));
  ok(a.acknowledge(got[3], acknowledge_type::renew));
  const auto s = stats();
  EXPECT_EQ(s.acquired, 6U);
  EXPECT_EQ(s.accepted, 1U);
  EXPECT_EQ(s.rejected, 1U);
  EXPECT_EQ(s.released, 1U);
  EXPECT_EQ(s.renewed, 1U);
  const auto after = ok(the_bus().stats());
  EXPECT_EQ(after.queues.routed, before.queues.routed) << "a share group is no queue";
  EXPECT_EQ(after.queues.settled, before.queues.settled);
  EXPECT_EQ(after.consumers.offsets_committed, before.consumers.offsets_committed);
}

TEST_F(Shares, WakeAPollThatIsToldTo) {
  auto a = member();
  a.wakeup();
  EXPECT_THAT(ok(a.poll(hours{1})), IsEmpty());
  auto waits = std::thread{[&] { EXPECT_THAT(ok(a.poll(hours{1})), IsEmpty()); }};
  a.wakeup();
  waits.join();
  auto waits_for_the_end = std::thread{[&] { EXPECT_THAT(a.poll(hours{1}), fails_with(errc::closed)); }};
  ok(the_bus().close());
  waits_for_the_end.join();
}

}  // namespace
}  // namespace levada::test
