#include <support/bus_fixture.hpp>

#include <algorithm>
#include <memory>
#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace levada::test {
namespace {

class Groups : public bus_fixture {
 protected:
  void publish(int from, int to) {
    for (int i = from; i < to; ++i) ok(the_bus().publish("orders", record{std::to_string(i)}));
  }
  topic_partition orders(unsigned p) { return {"orders", partition_id{p}}; }
};

TEST_F(Groups, ResumeAtTheCommittedOffsetAfterReopen) {
  ok(the_bus().declare_topic("orders"));
  publish(0, 10);
  {
    auto reader = join("g", {"orders"});
    EXPECT_EQ(poll_all(reader).size(), 10U);
    ok(reader.commit(orders(0), offset{7}));
  }
  reopen();
  auto reader = join("g", {"orders"});
  EXPECT_EQ(ok(reader.committed(orders(0)))->next, offset{7});
  EXPECT_EQ(poll_all(reader), (std::vector<std::string>{"7", "8", "9"}));
}

TEST_F(Groups, StartWhereTheirPolicySays) {
  ok(the_bus().declare_topic("orders"));
  publish(0, 3);
  auto earliest = join("e", {"orders"}, offset_reset::earliest);
  auto latest = join("l", {"orders"}, offset_reset::latest);
  auto none = join("n", {"orders"}, offset_reset::none);
  publish(3, 5);
  EXPECT_EQ(poll_all(earliest).size(), 5U);
  EXPECT_EQ(poll_all(latest), (std::vector<std::string>{"3", "4"}));
  const auto refused = none.poll(at_once);
  ASSERT_THAT(refused, fails_with(errc::no_committed_offset));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("orders"));
  EXPECT_EQ(ok(none.position(orders(0))), std::nullopt);
  ok(none.seek(orders(0), offset{4}));
  EXPECT_EQ(poll_all(none), (std::vector<std::string>{"4"}));
}

TEST_F(Groups, CommitWhatWasPolledAndNothingElse) {
  ok(the_bus().declare_topic("orders"));
  publish(0, 5);
  auto reader = join("g", {"orders"});
  EXPECT_FALSE(ok(reader.committed(orders(0))));
  poll_all(reader);
  publish(5, 8);
  ok(reader.commit());
  EXPECT_EQ(ok(reader.committed(orders(0)))->next, offset{5});
  EXPECT_THAT(reader.commit(orders(0), offset{9}), fails_with(errc::offset_out_of_range));
  EXPECT_THAT(reader.commit({"orders", partition_id{1}}, offset{0}), fails_with(errc::not_assigned));
  ok(reader.commit(orders(0), offset{2}));
  EXPECT_EQ(ok(reader.committed(orders(0)))->next, offset{2}) << "a lower offset is a legal commit";
}

TEST_F(Groups, SeekToOffsetTimeAndBothEnds) {
  ok(the_bus().declare_topic("orders"));
  std::vector<timestamp> times;
  for (int i = 0; i < 200; ++i) {
    times.push_back(ok(the_bus().publish("orders", record{std::to_string(i)})).time);
    the_clock().advance(std::chrono::seconds{1});
  }
  auto reader = join("g", {"orders"});
  ok(reader.seek(orders(0), offset{198}));
  EXPECT_EQ(poll_all(reader), (std::vector<std::string>{"198", "199"}));
  ok(reader.seek(orders(0), times[197]));
  EXPECT_EQ(poll_all(reader).front(), "197");
  ok(reader.seek(orders(0), times[100] + std::chrono::microseconds{1}));
  EXPECT_EQ(poll_all(reader).front(), "101");
  ok(reader.seek(orders(0), times[0] - std::chrono::hours{1}));
  EXPECT_EQ(poll_all(reader).size(), 200U);
  ok(reader.seek(orders(0), times[199] + std::chrono::hours{1}));
  EXPECT_TRUE(poll_all(reader).empty());
  ok(reader.seek(orders(0), from_earliest{}));
  EXPECT_EQ(poll_all(reader).size(), 200U);
  ok(reader.seek(orders(0), from_latest{}));
  EXPECT_TRUE(poll_all(reader).empty());
  EXPECT_THAT(reader.seek(orders(0), offset{201}), fails_with(errc::offset_out_of_range));
  EXPECT_THAT(reader.seek({"orders", partition_id{7}}, offset{0}), fails_with(errc::not_assigned));
}

TEST_F(Groups, ShareThePartitionsOfATopicAmongMembers) {
  ok(the_bus().declare_topic("orders", {.partitions = 4}));
  auto a = join("g", {"orders"});
  EXPECT_EQ(a.assignment().size(), 4U);
  auto b = join("g", {"orders"});
  EXPECT_TRUE(b.assignment().empty()) << "until the first member has given something up";
  ok(a.poll(at_once));
  ok(b.poll(at_once));
  auto both = a.assignment();
  EXPECT_EQ(both.size(), 2U);
  for (const auto& where : b.assignment()) both.push_back(where);
  EXPECT_THAT(both, ::testing::UnorderedElementsAre(orders(0), orders(1), orders(2), orders(3)));
  publish(0, 100);
  EXPECT_EQ(poll_all(a).size() + poll_all(b).size(), 100U);
  a.close();
  ok(b.poll(at_once));
  EXPECT_EQ(b.assignment().size(), 4U);
}

TEST_F(Groups, AreAssignedByTheirMembersAssignor) {
  ok(the_bus().declare_topic("orders", {.partitions = 4}));
  auto a = ok(the_bus().join("g", {"orders"}, {.member_id = "a", .assignor = range_assignor()}));
  auto b = ok(the_bus().join("g", {"orders"}, {.member_id = "b", .assignor = range_assignor()}));
  ok(a.poll(at_once));
  EXPECT_EQ(a.assignment(), (std::vector<topic_partition>{orders(0), orders(1)}));
  ok(b.poll(at_once));
  EXPECT_EQ(b.assignment(), (std::vector<topic_partition>{orders(2), orders(3)}));
  const auto refused = the_bus().join("g", {"orders"}, {.assignor = round_robin_assignor()});
  ASSERT_THAT(refused, fails_with(errc::inequivalent));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("'range'"));
  EXPECT_THAT(the_bus().join("g", {"orders"}), fails_with(errc::inequivalent))
      << "the default is another one";
}

/// Gives every partition to the first member, and to the second as well when it is told to.
class greedy_assignor final : public assignor {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "greedy"; }
  [[nodiscard]] std::vector<std::vector<topic_partition>> assign(
      std::span<const assignor_member> members, std::span<const assignor_topic> topics) const override {
    std::vector<std::vector<topic_partition>> all(members.size());
    for (const auto& topic : topics) {
      for (std::uint32_t p = 0; p < topic.partitions; ++p) {
        all[0].push_back({topic.name, partition_id{p}});
        if (twice && members.size() > 1) all[1].push_back({topic.name, partition_id{p}});
      }
    }
    return all;
  }
  bool twice = false;
};

TEST_F(Groups, AreAssignedByTheHostsOwnAssignorAsLongAsItKeepsItsRule) {
  ok(the_bus().declare_topic("orders", {.partitions = 4}));
  const auto greedy = std::make_shared<greedy_assignor>();
  auto a = ok(the_bus().join("g", {"orders"}, {.member_id = "a", .assignor = greedy}));
  auto b = ok(the_bus().join("g", {"orders"}, {.member_id = "b", .assignor = greedy}));
  ok(a.poll(at_once));
  ok(b.poll(at_once));
  EXPECT_EQ(a.assignment().size(), 4U);
  EXPECT_TRUE(b.assignment().empty());
  greedy->twice = true;
  const auto refused = the_bus().join("g", {"orders"}, {.member_id = "c", .assignor = greedy});
  ASSERT_THAT(refused, fails_with(errc::invalid_argument));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("'greedy'"));
  EXPECT_THAT(a.poll(at_once), succeeds()) << "nothing has changed for the others";
  ok(the_bus().join("h", {"orders"}, {.assignor = greedy}));  // alone, it keeps the rule
}

TEST_F(Groups, HandOverWithoutGapOrDuplicateWhenMembersCommitBeforeTheyPoll) {
  ok(the_bus().declare_topic("orders", {.partitions = 4}));
  publish(0, 400);
  consumer_options few;
  few.reset = offset_reset::earliest;
  few.poll_records_max = 7;
  std::vector<consumer> members;
  std::multiset<std::string> seen;
  const auto step = [&](consumer& c) {
    for (const auto& r : ok(c.poll(at_once))) seen.emplace(r.value());
    ok(c.commit());
  };
  for (int round = 0; round < 60; ++round) {
    if (round % 9 == 0) members.push_back(ok(the_bus().join("g", {"orders"}, few)));
    if (round % 14 == 13) members.erase(members.begin());
    for (auto& m : members) step(m);
  }
  for (int round = 0; round < 100; ++round) {
    for (auto& m : members) step(m);
  }
  EXPECT_EQ(seen.size(), 400U);
  EXPECT_EQ((std::set<std::string>{seen.begin(), seen.end()}.size()), 400U);
}

TEST_F(Groups, FenceAMemberThatDoesNotPollInTime) {
  ok(the_bus().declare_topic("orders", {.partitions = 2}));
  publish(0, 2);
  auto hanging = join("g", {"orders"});
  ok(hanging.poll(at_once));
  auto waiting = join("g", {"orders"});
  ok(waiting.poll(at_once));
  EXPECT_TRUE(waiting.assignment().empty());
  the_clock().advance(std::chrono::seconds{60});
  ok(waiting.poll(at_once));
  EXPECT_EQ(waiting.assignment().size(), 2U);
  EXPECT_THAT(hanging.commit(), fails_with(errc::fenced));
  EXPECT_THAT(hanging.poll(at_once), fails_with(errc::fenced));
}

TEST_F(Groups, ReadIndependentlyOfEachOther) {
  ok(the_bus().declare_topic("orders"));
  publish(0, 4);
  auto one = join("one", {"orders"});
  poll_all(one);
  ok(one.commit());
  auto two = join("two", {"orders"});
  EXPECT_EQ(poll_all(two).size(), 4U);
}

TEST_F(Groups, ReadSeveralTopicsAndAnExchangesLog) {
  ok(the_bus().declare_topic("orders"));
  ok(the_bus().declare_exchange("events"));
  publish(0, 2);
  ok(the_bus().publish("events", "a.b", record{"routed"}));
  auto reader = join("g", {"orders", "events", "orders"});
  auto values = poll_all(reader);
  std::sort(values.begin(), values.end());
  EXPECT_EQ(values, (std::vector<std::string>{"0", "1", "routed"}));
}

TEST_F(Groups, PollNoMoreThanAskedFor) {
  ok(the_bus().declare_topic("orders"));
  auto topic = ok(the_bus().topic("orders"));
  auto batch = topic.make_batch();
  for (int i = 0; i < 100; ++i) ok(batch.add(std::to_string(i)));
  ok(topic.publish(batch));
  consumer_options few;
  few.reset = offset_reset::earliest;
  few.poll_records_max = 7;
  auto reader = ok(the_bus().join("g", {"orders"}, few));
  int next = 0;
  for (auto polled = ok(reader.poll(at_once)); !polled.empty(); polled = ok(reader.poll(at_once))) {
    EXPECT_LE(polled.size(), 7U);
    for (const auto& r : polled) {
      EXPECT_EQ(r.value(), std::to_string(next));
      EXPECT_EQ(r.offset(), offset{static_cast<std::uint64_t>(next)});
      ++next;
    }
  }
  EXPECT_EQ(next, 100);
}

TEST_F(Groups, ReturnARecordLargerThanTheByteLimitAlone) {
  ok(the_bus().declare_topic("orders"));
  ok(the_bus().publish("orders", record{"small"}));
  ok(the_bus().publish("orders", record{std::string(100'000, 'x')}));
  ok(the_bus().publish("orders", record{"after"}));
  consumer_options little;
  little.reset = offset_reset::earliest;
  little.poll_bytes_max = 1000;
  auto reader = ok(the_bus().join("g", {"orders"}, little));
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 3; ++i) {
    const auto polled = ok(reader.poll(at_once));
    ASSERT_EQ(polled.size(), 1U);
    sizes.push_back(polled.begin()->value().size());
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{5, 100'000, 5}));
}

TEST_F(Groups, ShowMembersOffsetsAndLag) {
  ok(the_bus().declare_topic("orders", {.partitions = 2}));
  for (int i = 0; i < 5; ++i) ok(ok(the_bus().topic("orders")).publish(partition_id{0}, record{"x"}));
  consumer_options named;
  named.reset = offset_reset::earliest;
  named.member_id = "worker";
  auto reader = ok(the_bus().join("g", {"orders"}, named));
  ok(reader.commit(orders(0), offset{2}));
  const auto groups = ok(the_bus().groups());
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].name, "g");
  EXPECT_EQ(groups[0].members, (std::vector<std::string>{"worker"}));
  ASSERT_EQ(groups[0].partitions.size(), 2U);
  EXPECT_EQ(groups[0].partitions[0].committed, offset{2});
  EXPECT_EQ(groups[0].partitions[0].end, offset{5});
  EXPECT_EQ(groups[0].partitions[0].lag, 3U);
  EXPECT_EQ(groups[0].partitions[0].member, "worker");
  EXPECT_EQ(groups[0].partitions[1].committed, std::nullopt);
  EXPECT_THAT(the_bus().join("g", {"orders"}, named), fails_with(errc::invalid_argument))
      << "its name is taken";
}

TEST_F(Groups, EndWithTheirBus) {
  ok(the_bus().declare_topic("orders"));
  auto reader = join("g", {"orders"});
  ok(the_bus().close());
  EXPECT_THAT(reader.poll(at_once), fails_with(errc::closed));
  EXPECT_THAT(reader.commit(), fails_with(errc::closed));
}

}  // namespace
}  // namespace levada::test
