#include "group/assignor.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace levada::group {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Partitions `from` to `to` - 1 of a topic.
std::vector<topic_partition> range(const std::string& topic, std::uint32_t from, std::uint32_t to) {
  std::vector<topic_partition> all;
  for (std::uint32_t p = from; p < to; ++p) all.push_back({topic, partition_id{p}});
  return all;
}
std::vector<topic_partition> operator+(std::vector<topic_partition> a,
                                       const std::vector<topic_partition>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Assignor, GivesSevenPartitionsToThreeMembersAsThreeTwoTwoNeighbours) {
  EXPECT_THAT(assign_range({{"a", {"t"}}, {"b", {"t"}}, {"c", {"t"}}}, {{"t", 7}}),
              ElementsAre(range("t", 0, 3), range("t", 3, 5), range("t", 5, 7)));
}

TEST(Assignor, FollowsTheOrderOfMemberIdsAndNotOfTheList) {
  EXPECT_THAT(assign_range({{"c", {"t"}}, {"a", {"t"}}, {"b", {"t"}}}, {{"t", 7}}),
              ElementsAre(range("t", 5, 7), range("t", 0, 3), range("t", 3, 5)));
  EXPECT_THAT(assign_range({{"member-2", {"t"}}, {"member-10", {"t"}}}, {{"t", 2}}),
              ElementsAre(range("t", 1, 2), range("t", 0, 1)))
      << "ids are ordered as texts";
}

TEST(Assignor, DividesTopicByTopic) {
  EXPECT_THAT(assign_range({{"a", {"t", "u"}}, {"b", {"u", "t"}}}, {{"u", 3}, {"t", 3}}),
              ElementsAre(range("t", 0, 2) + range("u", 0, 2), range("t", 2, 3) + range("u", 2, 3)))
      << "the first member has the odd partition of each; results are sorted";
}

TEST(Assignor, GivesNothingOfATopicToThoseWhoDidNotSubscribeToIt) {
  EXPECT_THAT(assign_range({{"a", {"t"}}, {"b", {"u"}}, {"c", {"t", "u"}}}, {{"t", 4}, {"u", 1}, {"v", 9}}),
              ElementsAre(range("t", 0, 2), range("u", 0, 1), range("t", 2, 4)));
}

TEST(Assignor, LeavesMembersIdleWhenThereAreMoreThanPartitions) {
  EXPECT_THAT(assign_range({{"d", {"t"}}, {"c", {"t"}}, {"b", {"t"}}, {"a", {"t"}}}, {{"t", 2}}),
              ElementsAre(IsEmpty(), IsEmpty(), range("t", 1, 2), range("t", 0, 1)));
}

TEST(Assignor, CopesWithNothing) {
  EXPECT_THAT(assign_range({}, {{"t", 4}}), IsEmpty());
  EXPECT_THAT(assign_range({{"a", {"t"}}}, {}), ElementsAre(IsEmpty()));
  EXPECT_THAT(assign_range({{"a", {}}, {"b", {"absent"}}}, {{"t", 4}}), Each(IsEmpty()));
}

TEST(Assignor, GivesEachPartitionToOneSubscriberInFairRunsWhateverTheGroup) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random{seed};
    const auto below = [&](std::uint32_t n) {
      return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random);
    };
    std::vector<topic_size> topics;
    for (std::uint32_t t = below(5); t > 0; --t) topics.push_back({fmt::format("t{}", t), 1 + below(20)});
    std::vector<subscription> members;
    for (std::uint32_t m = below(8); m > 0; --m) {
      subscription s{fmt::format("m{}", m * 7919 % 100), {}};  // in no order
      for (const auto& topic : topics) {
        if (below(3) != 0) s.topics.push_back(topic.topic);
      }
      members.push_back(std::move(s));
    }
    const auto assigned = assign_range(members, topics);
    ASSERT_EQ(assigned.size(), members.size());

    for (const auto& topic : topics) {
      std::map<std::string, std::vector<std::uint32_t>> shares;  // of the subscribers, by id
      for (std::size_t i = 0; i < members.size(); ++i) {
        EXPECT_TRUE(std::is_sorted(assigned[i].begin(), assigned[i].end()));
        const auto& wanted = members[i].topics;
        const bool subscribed = std::find(wanted.begin(), wanted.end(), topic.topic) != wanted.end();
        if (subscribed) shares[members[i].member];
        for (const auto& where : assigned[i]) {
          if (where.topic != topic.topic) continue;
          EXPECT_TRUE(subscribed);
          shares[members[i].member].push_back(where.partition.value());
        }
      }
      if (shares.empty()) continue;
      std::uint32_t next = 0;
      std::size_t least = topic.partitions;
      std::size_t before = topic.partitions;
      for (const auto& [id, share] : shares) {
        for (const std::uint32_t p : share) EXPECT_EQ(p, next++) << "runs follow each other by member id";
        EXPECT_LE(share.size(), before) << "the longer runs come first";
        before = share.size();
        least = std::min(least, share.size());
      }
      EXPECT_EQ(next, topic.partitions) << "none is left over";
      EXPECT_LE(shares.begin()->second.size(), least + 1);
    }

    auto shuffled_members = members;
    auto shuffled_topics = topics;
    std::shuffle(shuffled_members.begin(), shuffled_members.end(), random);
    std::shuffle(shuffled_topics.begin(), shuffled_topics.end(), random);
    const auto again = assign_range(shuffled_members, shuffled_topics);
    for (std::size_t i = 0; i < members.size(); ++i) {
      for (std::size_t k = 0; k < members.size(); ++k) {
        EXPECT_TRUE(members[i].member != shuffled_members[k].member || assigned[i] == again[k]);
      }
    }
  }
}

}  // namespace
}  // namespace levada::group
