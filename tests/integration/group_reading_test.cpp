// What a member reads: pausing, how far it lags, where it starts; exact partitions, and topics by pattern.

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using partitions = std::vector<topic_partition>;

topic_partition orders(unsigned p) {
  return {"orders", partition_id{p}};
}

class GroupReading : public bus_fixture {
 protected:
  void declare(const std::string& name, unsigned count = 1) {
    ok(the_bus().declare_topic(name, {.partitions = count}));
  }
  void publish(const topic_partition& where, const std::string& value) {
    ok(ok(the_bus().topic(where.topic)).publish(where.partition, record{value}));
  }
  [[nodiscard]] std::vector<std::string> read_as(const std::string& group, const consumer_options& o) {
    auto reader = ok(the_bus().join(group, {"orders"}, o));
    return poll_all(reader);
  }
};

TEST_F(GroupReading, PassesOverPausedPartitions) {
  declare("orders", 2);
  for (const char* const value : {"a", "b"}) publish(orders(0), value);
  publish(orders(1), "x");
  auto reader = join("g", {"orders"});
  ok(reader.pause(partitions{orders(0)}));
  EXPECT_THAT(poll_all(reader), ElementsAre("x"));
  EXPECT_THAT(reader.paused(), ElementsAre(orders(0)));
  EXPECT_THAT(reader.assignment(), ElementsAre(orders(0), orders(1)));
  EXPECT_EQ(ok(reader.position(orders(0))), offset{0});
  ok(reader.resume(partitions{orders(0), orders(1)}));
  EXPECT_THAT(reader.paused(), IsEmpty());
  EXPECT_THAT(poll_all(reader), ElementsAre("a", "b"));
}

TEST_F(GroupReading, PausesNothingWhereOneIsNotAssigned) {
  declare("orders", 1);
  auto reader = join("g", {"orders"});
  EXPECT_THAT(reader.pause(partitions{orders(0), orders(1)}), fails_with(errc::not_assigned));
  EXPECT_THAT(reader.paused(), IsEmpty());
  EXPECT_THAT(reader.resume(partitions{orders(1)}), fails_with(errc::not_assigned));
}

TEST_F(GroupReading, PollsOthersThoughAPausedPartitionHasNoPosition) {
  declare("orders", 2);
  auto reader = join("g", {"orders"}, offset_reset::none);
  ok(reader.seek(orders(1), from_earliest{}));
  publish(orders(1), "x");
  EXPECT_THAT(reader.poll(at_once), fails_with(errc::no_committed_offset));
  ok(reader.pause(partitions{orders(0)}));
  EXPECT_THAT(poll_all(reader), ElementsAre("x"));
}

TEST_F(GroupReading, KeepsThePauseOfWhatStaysInARebalance) {
  declare("orders", 4);
  auto a = ok(the_bus().join("g", {"orders"}, {.reset = offset_reset::earliest, .member_id = "a"}));
  ok(a.pause(a.assignment()));
  partitions stays;
  {
    auto b = ok(the_bus().join("g", {"orders"}, {.reset = offset_reset::earliest, .member_id = "b"}));
    ok(a.poll(at_once));
    stays = a.assignment();
    EXPECT_EQ(stays.size(), 2U);
    EXPECT_EQ(a.paused(), stays);
    ok(b.poll(at_once));
    EXPECT_THAT(b.paused(), IsEmpty());
  }
  ok(a.poll(at_once));
  EXPECT_EQ(a.assignment().size(), 4U);
  EXPECT_EQ(a.paused(), stays) << "what has come back is not paused";
}

TEST_F(GroupReading, TellsHowFarItLagsAndWhereLogsBeginAndEnd) {
  declare("orders", 2);
  for (int i = 0; i < 5; ++i) publish(orders(0), "v");
  for (int i = 0; i < 3; ++i) publish(orders(1), "v");
  ok(the_bus().delete_records(orders(1), offset{2}));
  auto reader = join("g", {"orders"});
  EXPECT_EQ(ok(reader.lag()), 6U);
  EXPECT_EQ(ok(reader.lag(orders(0))), 5U);
  EXPECT_EQ(ok(reader.lag(orders(1))), 1U);
  ok(reader.seek(orders(0), offset{4}));
  EXPECT_EQ(ok(reader.lag(orders(0))), 1U);
  poll_all(reader);
  EXPECT_EQ(ok(reader.lag()), 0U);
  EXPECT_THAT(reader.lag(orders(2)), fails_with(errc::not_assigned));
  EXPECT_EQ(ok(reader.beginning_offset(orders(1))), offset{2});
  EXPECT_EQ(ok(reader.end_offset(orders(1))), offset{3});
  declare("others");
  EXPECT_EQ(ok(reader.end_offset({"others", partition_id{0}})), offset{0}) << "of any topic";
  EXPECT_THAT(reader.end_offset(orders(2)), fails_with(errc::unknown_partition));
  EXPECT_THAT(reader.beginning_offset({"nothing", partition_id{0}}), fails_with(errc::unknown_topic));
  auto none = join("n", {"orders"}, offset_reset::none);
  EXPECT_EQ(ok(none.lag(orders(0))), std::nullopt);
}

TEST_F(GroupReading, StartsAsFarBackAsADuration) {
  declare("orders");
  for (int i = 0; i < 10; ++i) {
    publish(orders(0), std::to_string(i));
    the_clock().advance(std::chrono::minutes{1});
  }
  consumer_options o;
  o.reset = offset_reset::by_duration;
  o.reset_duration = std::chrono::minutes{3};
  EXPECT_THAT(read_as("g", o), ElementsAre("7", "8", "9"));
  o.reset_duration = std::chrono::hours{1};
  EXPECT_EQ(read_as("h", o).size(), 10U);
  o.reset_duration = std::chrono::milliseconds{0};
  EXPECT_THAT(read_as("i", o), IsEmpty());
  o.reset_duration = std::chrono::milliseconds{-1};
  EXPECT_THAT(the_bus().join("j", {"orders"}, o), fails_with(errc::invalid_argument));
}

TEST_F(GroupReading, GoesOnAsFarBackAsADurationWhenItWasOvertaken) {
  declare("orders");
  consumer_options o;
  o.reset = offset_reset::by_duration;
  o.reset_duration = std::chrono::minutes{3};
  auto reader = ok(the_bus().join("g", {"orders"}, o));
  for (int i = 0; i < 10; ++i) {
    publish(orders(0), std::to_string(i));
    the_clock().advance(std::chrono::minutes{1});
  }
  ok(the_bus().delete_records(orders(0), offset{1}));
  EXPECT_THAT(reader.poll(at_once), fails_with(errc::overtaken));
  EXPECT_THAT(poll_all(reader), ElementsAre("7", "8", "9"));
}

// Exact partitions

TEST_F(GroupReading, ReadsExactlyWhatIsAssignedByHand) {
  declare("orders", 3);
  for (unsigned p = 0; p < 3; ++p) publish(orders(p), std::to_string(p));
  consumer_options o;
  o.reset = offset_reset::earliest;
  auto one = ok(the_bus().assign("g", {orders(2), orders(0), orders(2)}, o));
  auto two = ok(the_bus().assign("g", {orders(0)}, o));
  EXPECT_THAT(one.assignment(), ElementsAre(orders(0), orders(2)));
  EXPECT_EQ(one.member_id(), "");
  EXPECT_THAT(poll_all(one), UnorderedElementsAre("0", "2"));
  EXPECT_THAT(poll_all(two), ElementsAre("0"));
  ok(one.commit());
  EXPECT_EQ(ok(two.committed(orders(2)))->next, offset{1});
  const auto group = ok(the_bus().groups()).at(0);
  EXPECT_THAT(group.members, IsEmpty());
  EXPECT_EQ(group.partitions.size(), 2U);
  the_clock().advance(std::chrono::hours{1});
  EXPECT_THAT(one.poll(at_once), succeeds()) << "nobody is fenced";
}

TEST_F(GroupReading, CommitsNothingByHandWhileTheGroupHasMembers) {
  declare("orders");
  publish(orders(0), "v");
  consumer_options o;
  o.reset = offset_reset::earliest;
  auto by_hand = ok(the_bus().assign("g", {orders(0)}, o));
  EXPECT_EQ(poll_all(by_hand).size(), 1U);
  {
    auto member = join("g", {"orders"});
    EXPECT_EQ(member.assignment().size(), 1U) << "nothing is taken away from it";
    EXPECT_THAT(by_hand.commit(), fails_with(errc::group_in_use));
    EXPECT_THAT(by_hand.poll(at_once), succeeds());
  }
  EXPECT_THAT(by_hand.commit(), succeeds());
}

TEST_F(GroupReading, AssignsOnlyWhatIsThere) {
  declare("orders");
  EXPECT_THAT(the_bus().assign("g", {}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().assign("g", {{"nothing", partition_id{0}}}), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().assign("g", {orders(1)}), fails_with(errc::unknown_partition));
  EXPECT_THAT(the_bus().assign("", {orders(0)}), fails_with(errc::name_invalid));
}

TEST_F(GroupReading, CommitsByItselfByHandWhenItCloses) {
  declare("orders");
  publish(orders(0), "v");
  consumer_options o;
  o.reset = offset_reset::earliest;
  o.auto_commit = std::chrono::hours{1};
  {
    auto by_hand = ok(the_bus().assign("g", {orders(0)}, o));
    poll_all(by_hand);
  }
  EXPECT_EQ(ok(the_bus().groups()).at(0).partitions.at(0).committed, offset{1});
}

TEST_F(GroupReading, IsToldByHandThatATopicIsGone) {
  declare("orders");
  declare("others");
  auto by_hand =
      ok(the_bus().assign("g", {orders(0), {"others", partition_id{0}}}, {.reset = offset_reset::earliest}));
  ok(the_bus().delete_topic("orders"));
  publish({"others", partition_id{0}}, "v");
  EXPECT_THAT(by_hand.poll(at_once), fails_with(errc::unknown_topic));
  EXPECT_THAT(poll_all(by_hand), ElementsAre("v"));
}

// It failed with what the log said of itself, in other words than promised.
TEST_F(GroupReading, FindsOutByItsNextLookThatATopicIsDeletedWhileItReads) {
  declare("orders");
  declare("others");
  publish(orders(0), "gone");
  publish({"others", partition_id{0}}, "v");
  consumer_options o;
  o.reset = offset_reset::earliest;
  o.on_assigned = [&](new_assignment&) { ok(the_bus().delete_topic("orders")); };
  auto reader = ok(the_bus().join("g", {"orders", "others"}, o));
  const auto read = ok(reader.poll(at_once));
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read.begin()->value(), "v");
  const auto told = reader.poll(at_once);
  ASSERT_THAT(told, fails_with(errc::unknown_topic));
  EXPECT_THAT(told.error().message(), HasSubstr("topic 'orders' has been deleted"));
  EXPECT_TRUE(ok(reader.poll(at_once)).empty());
}

TEST_F(GroupReading, ReadsNothingOfATopicThatHasReplacedItsOwn) {
  declare("orders");
  auto reader = join("g", {"orders"});
  ok(the_bus().delete_topic("orders"));
  declare("orders", 4);
  for (unsigned p = 0; p < 4; ++p) publish(orders(p), std::to_string(p));
  auto other = join("g", {"orders"});
  EXPECT_THAT(poll_all(other), UnorderedElementsAre("0", "1", "2", "3"));
  EXPECT_THAT(reader.poll(at_once), fails_with(errc::unknown_topic));
  EXPECT_TRUE(ok(reader.poll(at_once)).empty());
  EXPECT_TRUE(reader.assignment().empty());
}

// Patterns

class GroupPatterns : public GroupReading {
 protected:
  [[nodiscard]] consumer join_pattern(const std::string& regex, const std::string& id = "") {
    return ok(the_bus().join("g", ok(topic_pattern::make(regex)),
                             {.reset = offset_reset::earliest, .member_id = id}));
  }
};

TEST_F(GroupPatterns, ChooseTopicsThatThereAreAndThatAreDeclaredLater) {
  declare("orders.eu");
  declare("invoices");
  ok(the_bus().declare_exchange("orders.events"));
  auto reader = join_pattern(R"(orders\..*)");
  EXPECT_THAT(reader.assignment(), ElementsAre(topic_partition{"orders.eu", partition_id{0}}));
  declare("orders.us", 2);
  declare("my.orders.us");
  publish({"orders.us", partition_id{1}}, "new");
  EXPECT_THAT(poll_all(reader), ElementsAre("new"));
  EXPECT_EQ(reader.assignment().size(), 3U);
  EXPECT_EQ(ok(the_bus().groups()).at(0).partitions.size(), 3U);
}

TEST_F(GroupPatterns, MayMatchNothingYet) {
  auto reader = join_pattern("a+");
  EXPECT_TRUE(ok(reader.poll(at_once)).empty());
  declare("aaa");
  publish({"aaa", partition_id{0}}, "v");
  EXPECT_THAT(poll_all(reader), ElementsAre("v"));
}

TEST_F(GroupPatterns, ForgetTopicsThatAreDeletedWithoutAWord) {
  declare("a");
  declare("aa");
  auto reader = join_pattern("a+");
  ok(the_bus().delete_topic("a"));
  EXPECT_TRUE(ok(reader.poll(at_once)).empty());
  EXPECT_EQ(reader.assignment().size(), 1U);
  declare("a", 2);
  publish({"a", partition_id{1}}, "again");
  EXPECT_THAT(poll_all(reader), ElementsAre("again"));
  EXPECT_EQ(reader.assignment().size(), 3U);
}

TEST_F(GroupPatterns, TakeNoNoticeOfATopicThatIsDeletedWhileTheyRead) {
  declare("a");
  declare("aa");
  publish({"a", partition_id{0}}, "gone");
  publish({"aa", partition_id{0}}, "v");
  consumer_options o;
  o.reset = offset_reset::earliest;
  o.on_assigned = [&](new_assignment&) { ok(the_bus().delete_topic("a")); };
  auto reader = ok(the_bus().join("g", ok(topic_pattern::make("a+")), o));
  EXPECT_THAT(poll_all(reader), ElementsAre("v"));
}

// A member took what it was given of the new topic for partitions of the deleted one, which it still knew: it
// read beyond the end of that, or forgot them with it, and nobody read them.
TEST_F(GroupPatterns, ReadATopicThatIsReplacedWhileTheyHandOver) {
  declare("a", 2);
  bool replaced = false;
  consumer_options o;
  o.reset = offset_reset::earliest;
  o.on_revoked = [&](revocation& given_up) {
    given_up.commit_positions();
    if (std::exchange(replaced, true)) return;
    ok(the_bus().delete_topic("a"));
    declare("a", 8);
    for (unsigned p = 0; p < 8; ++p) publish({"a", partition_id{p}}, std::to_string(p));
  };
  auto one = ok(the_bus().join("g", ok(topic_pattern::make("a+")), o));
  ok(one.poll(at_once));
  auto two = join_pattern("a+", "two");
  EXPECT_THAT(poll_all(one), UnorderedElementsAre("0", "1", "2", "3", "4", "5", "6", "7"));
  ASSERT_TRUE(replaced);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(poll_all(two), IsEmpty());
    EXPECT_THAT(poll_all(one), IsEmpty());
  }
  EXPECT_THAT(poll_all(two), IsEmpty());
  EXPECT_EQ(one.assignment().size(), 4U);
  EXPECT_EQ(two.assignment().size(), 4U);
}

TEST_F(GroupPatterns, ShareWhatComesAmongTheMembers) {
  auto one = join_pattern("a+", "one");
  auto two = join_pattern("a+", "two");
  declare("a", 4);
  // Who looks first gets everything, until the other has subscribed too.
  for (int i = 0; i < 3; ++i) {
    ok(one.poll(at_once));
    ok(two.poll(at_once));
  }
  EXPECT_EQ(one.assignment().size(), 2U);
  EXPECT_EQ(two.assignment().size(), 2U);
}

TEST_F(GroupPatterns, WakeAWaitingPollWhenATopicIsDeclared) {
  boost::asio::io_context context;
  auto reader = join_pattern("a+");
  std::optional<result<record_batch>> given;
  reader.async_poll(std::chrono::milliseconds::max(),
                    boost::asio::bind_executor(context.get_executor(),
                                               [&](result<record_batch> r) { given.emplace(std::move(r)); }));
  context.poll();
  declare("aa");
  while (reader.assignment().empty()) context.run_one();
  publish({"aa", partition_id{0}}, "v");
  while (!given) context.run_one();
  context.run();  // until whoever has posted is through with it
  EXPECT_EQ(ok(std::move(*given)).begin()->value(), "v");
}

TEST_F(GroupPatterns, FailAPollWhereMatchingGoesBackAndForthWithoutEnd) {
  auto reader = join_pattern("(a+)+(b+)+(c*)*(a+)+b");
  const std::string name(200, 'a');
  declare(name);
  const auto polled = reader.poll(at_once);
  if (!polled) {
    EXPECT_THAT(polled, fails_with(errc::out_of_resources));
  }
}

}  // namespace
}  // namespace levada::test
