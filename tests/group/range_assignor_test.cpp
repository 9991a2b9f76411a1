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

assignment by_range(const group& g) {
  return assign(*range_assignor(), g);
}

TEST(RangeAssignor, IsEagerAndNamedAsKafkaNamesIt) {
  EXPECT_EQ(range_assignor()->name(), "range");
  EXPECT_FALSE(range_assignor()->cooperative());
}

TEST(RangeAssignor, DividesAsInTheExampleOfKafkasDocumentation) {
  EXPECT_THAT(by_range({{{"C0", {"t0", "t1"}}, {"C1", {"t0", "t1"}}}, {{"t0", 3}, {"t1", 3}}}),
              ElementsAre(of("t0", {0, 1}) + of("t1", {0, 1}), of("t0", {2}) + of("t1", {2})));
}

TEST(RangeAssignor, GivesSevenPartitionsToThreeMembersAsThreeTwoTwoNeighbours) {
  EXPECT_THAT(by_range({{{"a", {"t"}}, {"b", {"t"}}, {"c", {"t"}}}, {{"t", 7}}}),
              ElementsAre(of("t", {0, 1, 2}), of("t", {3, 4}), of("t", {5, 6})));
}

TEST(RangeAssignor, GivesNothingOfATopicToThoseWhoDoNotReadIt) {
  EXPECT_THAT(by_range({{{"a", {"t"}}, {"b", {"u"}}, {"c", {"u", "t"}}}, {{"t", 4}, {"u", 1}, {"v", 9}}}),
              ElementsAre(of("t", {0, 1}), of("u", {0}), of("t", {2, 3})));
}

TEST(RangeAssignor, LeavesMembersIdleWhenThereAreMoreThanPartitions) {
  EXPECT_THAT(by_range({{{"a", {"t"}}, {"b", {"t"}}, {"c", {"t"}}, {"d", {"t"}}}, {{"t", 2}}}),
              ElementsAre(of("t", {0}), of("t", {1}), IsEmpty(), IsEmpty()));
}

TEST(RangeAssignor, PutsEquallyNumberedPartitionsOfEquallyLargeTopicsTogether) {
  const auto assigned = by_range(
      {{{"a", {"t", "u", "v"}}, {"b", {"v", "u", "t"}}, {"c", {"v"}}}, {{"t", 5}, {"u", 5}, {"v", 5}}});
  EXPECT_THAT(assigned, ElementsAre(of("t", {0, 1, 2}) + of("u", {0, 1, 2}) + of("v", {0, 1}),
                                    of("t", {3, 4}) + of("u", {3, 4}) + of("v", {2, 3}), of("v", {4})))
      << "\"v\" has another reader";
}

TEST(RangeAssignor, DoesNotCareWhoOwnsWhat) {
  EXPECT_THAT(by_range({{{"a", {"t"}, of("t", {2, 3})}, {"b", {"t"}, of("t", {0, 1})}}, {{"t", 4}}}),
              ElementsAre(of("t", {0, 1}), of("t", {2, 3})));
}

TEST(RangeAssignor, CopesWithNothing) {
  EXPECT_THAT(by_range({{}, {{"t", 4}}}), IsEmpty());
  EXPECT_THAT(by_range({{{"a", {"t"}}}, {}}), ElementsAre(IsEmpty()));
  EXPECT_THAT(by_range({{{"a", {}}, {"b", {"absent"}}}, {{"t", 4}}}), Each(IsEmpty()));
}

TEST(RangeAssignor, GivesReadersFairRunsInTheirOrderWhateverTheGroup) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const group g = random_groups{seed}.make({.members_max = 8, .topics_max = 5, .partitions_max = 20});
    const auto assigned = by_range(g);
    ASSERT_THAT(levada::group::check_assignment(*range_assignor(), g.members, g.topics, assigned),
                succeeds());
    EXPECT_EQ(by_range(g), assigned);
    EXPECT_EQ(by_range(after(g, assigned)), assigned);
    for (const auto& topic : g.topics) {
      std::uint32_t next = 0;
      std::uint32_t before = topic.partitions;
      std::uint32_t first = 0;
      std::uint32_t last = 0;
      for (std::size_t m = 0; m < g.members.size(); ++m) {
        if (!reads(g.members[m], topic.name)) continue;
        std::uint32_t share = 0;
        for (const auto& where : assigned[m]) {
          if (where.topic != topic.name) continue;
          EXPECT_EQ(where.partition.value(), next++) << "runs follow each other by member id";
          ++share;
        }
        EXPECT_LE(share, before) << "the longer runs come first";
        if (before == topic.partitions && first == 0) first = share;
        before = share;
        last = share;
      }
      EXPECT_LE(first, last + 1);
    }
  }
}

}  // namespace
}  // namespace levada::test
