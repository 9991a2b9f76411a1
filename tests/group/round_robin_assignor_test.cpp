#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assignor_testing.hpp"
#include "group/assignment_check.hpp"
#include "support/result_testing.hpp"

namespace levada::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

assignment dealt(const group& g) {
  return assign(*round_robin_assignor(), g);
}

TEST(RoundRobinAssignor, IsEagerAndNamedAsKafkaNamesIt) {
  EXPECT_EQ(round_robin_assignor()->name(), "roundrobin");
  EXPECT_FALSE(round_robin_assignor()->cooperative());
}

TEST(RoundRobinAssignor, DealsPartitionsOfAllTopicsInOrder) {
  EXPECT_THAT(dealt({{{"C0", {"t0", "t1"}}, {"C1", {"t1", "t0"}}}, {{"t0", 3}, {"t1", 3}}}),
              ElementsAre(of("t0", {0, 2}) + of("t1", {1}), of("t0", {1}) + of("t1", {0, 2})));
}

TEST(RoundRobinAssignor, PassesOverWhoDoesNotReadATopic) {
  const std::vector<assignor_topic> topics{{"t0", 1}, {"t1", 2}, {"t2", 3}};
  EXPECT_THAT(dealt({{{"C0", {"t0"}}, {"C1", {"t0", "t1"}}, {"C2", {"t0", "t1", "t2"}}}, topics}),
              ElementsAre(of("t0", {0}), of("t1", {0}), of("t1", {1}) + of("t2", {0, 1, 2})));
  EXPECT_THAT(dealt({{{"C1", {"t0", "t1"}}, {"C2", {"t0", "t1", "t2"}}}, topics}),
              ElementsAre(of("t0", {0}) + of("t1", {1}), of("t1", {0}) + of("t2", {0, 1, 2})));
}

TEST(RoundRobinAssignor, GoesOnAfterTheMemberThatGotTheLastTopicsLastPartition) {
  EXPECT_THAT(
      dealt({{{"a", {"t", "u"}}, {"b", {"t"}}, {"c", {"t", "u"}}, {"d", {"u"}}}, {{"t", 2}, {"u", 2}}}),
      ElementsAre(of("t", {0}), of("t", {1}), of("u", {0}), of("u", {1})));
}

TEST(RoundRobinAssignor, DoesNotCareWhoOwnsWhat) {
  EXPECT_THAT(dealt({{{"a", {"t"}, of("t", {1, 3})}, {"b", {"t"}, of("t", {0, 2})}}, {{"t", 4}}}),
              ElementsAre(of("t", {0, 2}), of("t", {1, 3})));
}

TEST(RoundRobinAssignor, CopesWithNothing) {
  EXPECT_THAT(dealt({{}, {{"t", 4}}}), IsEmpty());
  EXPECT_THAT(dealt({{{"a", {"t"}}}, {}}), ElementsAre(IsEmpty()));
  EXPECT_THAT(dealt({{{"a", {}}, {"b", {"absent"}}}, {{"t", 4}}}), Each(IsEmpty()));
}

/// The same by asking member after member, one partition at a time.
assignment dealt_by_asking_everyone(const group& g) {
  assignment all(g.members.size());
  std::size_t turn = 0;
  for (const auto& topic : g.topics) {
    for (std::uint32_t p = 0; p < topic.partitions; ++p) {
      for (std::size_t asked = 0; asked < g.members.size(); ++asked) {
        const std::size_t m = turn++ % g.members.size();
        if (!reads(g.members[m], topic.name)) continue;
        all[m].push_back({topic.name, partition_id{p}});
        break;
      }
    }
  }
  return all;
}

TEST(RoundRobinAssignor, DealsLikeOneWhoAsksMemberAfterMemberWhateverTheGroup) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const group g = random_groups{seed}.make({.members_max = 8, .topics_max = 6, .partitions_max = 12});
    const auto assigned = dealt(g);
    ASSERT_THAT(levada::group::check_assignment(*round_robin_assignor(), g.members, g.topics, assigned),
                succeeds());
    EXPECT_EQ(assigned, dealt_by_asking_everyone(g));
    EXPECT_EQ(dealt(after(g, assigned)), assigned);
  }
}

TEST(RoundRobinAssignor, DealsEvenlyWhereAllReadTheSame) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const group g = random_groups{seed}.make(
        {.members_max = 8, .topics_max = 6, .partitions_max = 12, .same_topics = true});
    const auto assigned = dealt(g);
    EXPECT_LE(assigned.front().size(), assigned.back().size() + 1);
    for (std::size_t m = 1; m < assigned.size(); ++m) EXPECT_LE(assigned[m].size(), assigned[m - 1].size());
  }
}

}  // namespace
}  // namespace levada::test
