#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "assignor_testing.hpp"
#include "group/assignment_check.hpp"
#include "support/result_testing.hpp"

namespace levada::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

assignment stuck(const group& g) {
  return assign(*cooperative_sticky_assignor(), g);
}

/// Kafka's definition: no member has two more than another that could take one of them.
bool balanced(const group& g, const assignment& assigned) {
  for (std::size_t more = 0; more < assigned.size(); ++more) {
    for (std::size_t fewer = 0; fewer < assigned.size(); ++fewer) {
      if (assigned[fewer].size() + 2 > assigned[more].size()) continue;
      for (const auto& where : assigned[more]) {
        if (reads(g.members[fewer], where.topic)) return false;
      }
    }
  }
  return true;
}

/// What is to be as small as possible, the first before the second.
struct score {
  std::size_t squares = 0;  // of the members' numbers of partitions, summed
  std::size_t moves = 0;
  friend auto operator<=>(const score&, const score&) = default;
};

score score_of(const group& g, const assignment& assigned) {
  score s{0, moves(g, assigned)};
  for (const auto& share : assigned) s.squares += share.size() * share.size();
  return s;
}

/// The best score of all assignments that there are.
class best_of_all {
 public:
  explicit best_of_all(const group& g) : loads_(g.members.size()) {
    for (const auto& topic : g.topics) {
      for (std::uint32_t p = 0; p < topic.partitions; ++p) {
        const topic_partition where{topic.name, partition_id{p}};
        slot s;
        for (std::size_t m = 0; m < g.members.size(); ++m) {
          if (!reads(g.members[m], topic.name)) continue;
          s.readers.push_back(m);
          const auto& owned = g.members[m].owned;
          if (std::find(owned.begin(), owned.end(), where) != owned.end()) s.owner = m;
        }
        if (!s.readers.empty()) slots_.push_back(std::move(s));
      }
    }
  }
  [[nodiscard]] std::size_t assignments() const {
    std::size_t count = 1;
    for (const auto& s : slots_) count *= s.readers.size();
    return count;
  }
  [[nodiscard]] score best() {
    try_from(0, 0);
    return best_;
  }

 private:
  struct slot {
    std::vector<std::size_t> readers;
    std::optional<std::size_t> owner;
  };

  void try_from(std::size_t at, std::size_t moved) {
    if (at == slots_.size()) {
      score s{0, moved};
      for (const std::size_t load : loads_) s.squares += load * load;
      best_ = std::min(best_, s);
      return;
    }
    for (const std::size_t m : slots_[at].readers) {
      ++loads_[m];
      try_from(at + 1, moved + (slots_[at].owner.value_or(m) == m ? 0 : 1));
      --loads_[m];
    }
  }

  std::vector<slot> slots_;
  std::vector<std::size_t> loads_;
  score best_{std::numeric_limits<std::size_t>::max(), 0};
};

/// How many partitions must move where all members read all topics: what members own above the smaller share,
/// but for one with as many of them as may have the larger share.
std::size_t necessary_moves(const group& g) {
  std::map<std::string, std::uint32_t> sizes;
  std::size_t partitions = 0;
  for (const auto& topic : g.topics) {
    sizes[topic.name] = topic.partitions;
    partitions += topic.partitions;
  }
  const std::size_t share = partitions / g.members.size();
  std::size_t larger_shares = partitions % g.members.size();
  std::size_t necessary = 0;
  for (const auto& m : g.members) {
    const auto owned = static_cast<std::size_t>(
        std::count_if(m.owned.begin(), m.owned.end(), [&](const topic_partition& where) {
          const auto found = sizes.find(where.topic);
          return found != sizes.end() && where.partition.value() < found->second;
        }));
    if (owned <= share) continue;
    necessary += owned - share;
    if (larger_shares > 0) {
      --larger_shares;
      --necessary;
    }
  }
  return necessary;
}

TEST(StickyAssignor, IsEagerAndNamedAsKafkaNamesIt) {
  EXPECT_EQ(sticky_assignor()->name(), "sticky");
  EXPECT_FALSE(sticky_assignor()->cooperative());
}

TEST(CooperativeStickyAssignor, IsCooperativeAndNamedAsKafkaNamesIt) {
  EXPECT_EQ(cooperative_sticky_assignor()->name(), "cooperative-sticky");
  EXPECT_TRUE(cooperative_sticky_assignor()->cooperative());
}

TEST(StickyAssignor, KeepsAllThatSurvivorsHaveWhenAMemberLeavesAsInKip54) {
  const std::vector<std::string> all{"t0", "t1", "t2", "t3"};
  group g{{{"C0", all}, {"C1", all}, {"C2", all}}, {{"t0", 2}, {"t1", 2}, {"t2", 2}, {"t3", 2}}};
  const auto first = stuck(g);
  EXPECT_THAT(first,
              ElementsAre(of("t0", {0}) + of("t1", {1}) + of("t3", {0}),
                          of("t0", {1}) + of("t2", {0}) + of("t3", {1}), of("t1", {0}) + of("t2", {1})));
  g = after(g, first);
  g.members.erase(g.members.begin() + 1);
  EXPECT_THAT(stuck(g), ElementsAre(first[0] + of("t2", {0}), first[2] + of("t0", {1}) + of("t3", {1})));
}

TEST(StickyAssignor, BalancesDifferingSubscriptionsAsInKip54) {
  group g{{{"C0", {"t0"}}, {"C1", {"t0", "t1"}}, {"C2", {"t0", "t1", "t2"}}},
          {{"t0", 1}, {"t1", 2}, {"t2", 3}}};
  const auto first = stuck(g);
  EXPECT_THAT(first, ElementsAre(of("t0", {0}), of("t1", {0, 1}), of("t2", {0, 1, 2})));
  g = after(g, first);
  g.members.erase(g.members.begin());
  EXPECT_THAT(stuck(g), ElementsAre(of("t0", {0}) + of("t1", {0, 1}), of("t2", {0, 1, 2})));
}

TEST(StickyAssignor, TakesFromEachOnlyItsPartOfANewMembersShare) {
  group g{{{"a", {"t"}}, {"b", {"t"}}, {"c", {"t"}}}, {{"t", 12}}};
  const auto before = stuck(g);
  EXPECT_THAT(before, Each(SizeIs(4)));
  g = after(g, before);
  g.members.push_back({"d", {"t"}});
  const auto now = stuck(g);
  EXPECT_THAT(now, Each(SizeIs(3)));
  EXPECT_EQ(moves(g, now), 3U);
}

TEST(StickyAssignor, GivesNewPartitionsToThoseWithFewest) {
  group g{{{"a", {"t"}, of("t", {0, 2})}, {"b", {"t"}, of("t", {1})}}, {{"t", 6}}};
  EXPECT_THAT(stuck(g), ElementsAre(of("t", {0, 2, 4}), of("t", {1, 3, 5})));
}

TEST(StickyAssignor, LetsTheLargerSharesStayWhereTheyAre) {
  EXPECT_THAT(stuck({{{"a", {"t"}, of("t", {3})}, {"b", {"t"}, of("t", {0, 1})}, {"c", {"t"}, of("t", {2})}},
                     {{"t", 4}}}),
              ElementsAre(of("t", {3}), of("t", {0, 1}), of("t", {2})));
}

TEST(StickyAssignor, TakesAPartitionFromAnOwnerThatReadsItNoMore) {
  EXPECT_THAT(stuck({{{"a", {"u"}, of("t", {0, 1}) + of("u", {0})}, {"b", {"t", "u"}, of("u", {1})}},
                     {{"t", 2}, {"u", 2}}}),
              ElementsAre(of("u", {0, 1}), of("t", {0, 1})))
      << "and the new reader gives up another for it";
}

TEST(StickyAssignor, IgnoresOwnedPartitionsThatDoNotExist) {
  EXPECT_THAT(
      stuck({{{"a", {"gone", "t"}, of("gone", {0, 1}) + of("t", {1, 2, 3})}, {"b", {"t"}}}, {{"t", 2}}}),
      ElementsAre(of("t", {1}), of("t", {0})));
}

TEST(StickyAssignor, BalancesAlongChainsWhereNoSingleMoveHelps) {
  // "a" can relieve itself only to "b", which has but one less; "b" only to "c".
  const group g{
      {{"a", {"t"}, of("t", {0, 1, 2})}, {"b", {"t", "u"}, of("u", {0, 1})}, {"c", {"u", "v"}, of("v", {0})}},
      {{"t", 3}, {"u", 2}, {"v", 1}}};
  const auto assigned = stuck(g);
  EXPECT_THAT(assigned, Each(SizeIs(2)));
  EXPECT_EQ(moves(g, assigned), 2U);
}

TEST(StickyAssignor, GivesFreePartitionsToThoseFromWhomFewestOthersMustMoveThen) {
  // "d" gets both free partitions of "w", so that "c" can take what "a" has too much of, and "b" keeps all.
  const group g{{{"a", {"t"}, of("t", {0, 1, 2, 3})},
                 {"b", {"t", "u"}, of("u", {0, 1})},
                 {"c", {"t", "w"}, of("w", {0})},
                 {"d", {"u", "w"}, {}}},
                {{"t", 4}, {"u", 2}, {"w", 3}}};
  const auto assigned = stuck(g);
  EXPECT_THAT(assigned, ElementsAre(SizeIs(3), of("u", {0, 1}), SizeIs(2), of("w", {1, 2})));
  EXPECT_EQ(moves(g, assigned), 1U);
}

TEST(StickyAssignor, CopesWithNothing) {
  EXPECT_THAT(stuck({{}, {{"t", 4}}}), IsEmpty());
  EXPECT_THAT(stuck({{{"a", {"t"}, of("t", {0})}}, {}}), ElementsAre(IsEmpty()));
  EXPECT_THAT(stuck({{{"a", {}, of("t", {0})}, {"b", {"absent"}}}, {{"t", 4}}}), Each(IsEmpty()));
}

TEST(StickyAssignor, KeepsItsPromisesWhateverTheGroup) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    random_groups some{seed};
    group g =
        some.make({.members_max = 12, .topics_max = 8, .partitions_max = 12, .same_topics = seed % 4 == 0});
    const auto assigned = stuck(g);
    ASSERT_THAT(levada::group::check_assignment(*sticky_assignor(), g.members, g.topics, assigned),
                succeeds());
    EXPECT_TRUE(balanced(g, assigned));
    EXPECT_EQ(stuck(g), assigned);
    EXPECT_EQ(assign(*sticky_assignor(), g), assigned) << "eager or not";
    EXPECT_EQ(stuck(after(g, assigned)), assigned) << "nothing moves when nothing happened";
    for (const auto& share : assigned) EXPECT_TRUE(std::is_sorted(share.begin(), share.end()));
    for (auto& m : g.members) std::reverse(m.owned.begin(), m.owned.end());
    EXPECT_EQ(stuck(g), assigned) << "the order in which they came to own it does not matter";
  }
}

TEST(StickyAssignor, BalancesAtBestAndMovesLeastOfAllAssignmentsWhereAllReadTheSame) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const group g = random_groups{seed}.make(
        {.members_max = 4, .topics_max = 4, .partitions_max = 2, .same_topics = true});
    const auto assigned = stuck(g);
    EXPECT_EQ(score_of(g, assigned), best_of_all{g}.best());
    EXPECT_EQ(moves(g, assigned), necessary_moves(g));
  }
}

TEST(StickyAssignor, BalancesAtBestAndMovesLeastOfAllAssignmentsWhereSubscriptionsDiffer) {
  std::size_t compared = 0;
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const group g = random_groups{seed}.make(
        {.members_max = 6, .topics_max = 5, .partitions_max = 3, .readers_in_ten = 4});
    best_of_all all{g};
    if (all.assignments() > 20'000) continue;
    ++compared;
    EXPECT_EQ(score_of(g, stuck(g)), all.best());
  }
  EXPECT_GT(compared, 2000U);
}

/// A group whose members join, leave and change their minds, and whose topics grow, one at a time.
class history {
 public:
  history(unsigned seed, const group_shape& shape) : some_{seed}, shape_{shape}, group_{some_.make(shape)} {
    group_ = after(group_, stuck(group_));
  }

  /// What an assignor sees next.
  const group& step() {
    auto& members = group_.members;
    switch (some_.below(shape_.same_topics ? 3 : 4)) {
      case 0:
        members.push_back(some_.member(fmt::format("n{:03}", joined_++), group_, shape_));
        break;
      case 1:
        if (members.size() > 1) members.erase(members.begin() + some_.below(count(members)));
        break;
      case 2:
        group_.topics[some_.below(count(group_.topics))].partitions += 1 + some_.below(3);
        break;
      default: {
        auto& m = members[some_.below(count(members))];
        m.topics = some_.member(m.id, group_, shape_).topics;
        break;
      }
    }
    return group_;
  }
  void settle(const assignment& assigned) { group_ = after(group_, assigned); }

 private:
  template <class T>
  static std::uint32_t count(const std::vector<T>& all) {
    return static_cast<std::uint32_t>(all.size());
  }

  random_groups some_;
  group_shape shape_;
  group group_;
  unsigned joined_ = 0;
};

TEST(StickyAssignor, MovesNoMoreThanBalanceDemandsAtEachJoinLeaveAndGrowth) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    history all{seed, {.members_max = 10, .topics_max = 5, .partitions_max = 15, .same_topics = true}};
    for (int i = 0; i < 30; ++i) {
      const group& g = all.step();
      const auto assigned = stuck(g);
      ASSERT_THAT(levada::group::check_assignment(*sticky_assignor(), g.members, g.topics, assigned),
                  succeeds());
      EXPECT_TRUE(balanced(g, assigned));
      EXPECT_EQ(moves(g, assigned), necessary_moves(g));
      all.settle(assigned);
    }
  }
}

TEST(StickyAssignor, NeverLetsTwoMembersSwapPartitionsThatBothRead) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    history all{seed, {.members_max = 10, .topics_max = 6, .partitions_max = 10}};
    for (int i = 0; i < 30; ++i) {
      const group g = all.step();
      const auto assigned = stuck(g);
      ASSERT_THAT(levada::group::check_assignment(*sticky_assignor(), g.members, g.topics, assigned),
                  succeeds());
      EXPECT_TRUE(balanced(g, assigned));
      std::map<topic_partition, std::size_t> owners;
      for (std::size_t m = 0; m < g.members.size(); ++m) {
        for (const auto& where : g.members[m].owned) owners.emplace(where, m);
      }
      std::map<std::pair<std::size_t, std::size_t>, topic_partition>
          went;  // what the first owned of the second's
      for (std::size_t m = 0; m < assigned.size(); ++m) {
        for (const auto& where : assigned[m]) {
          const auto owner = owners.find(where);
          if (owner == owners.end() || owner->second == m) continue;
          if (reads(g.members[owner->second], where.topic)) went.emplace(std::pair{owner->second, m}, where);
        }
      }
      for (const auto& [between, where] : went) {
        EXPECT_FALSE(went.contains({between.second, between.first}))
            << where.topic << ' ' << where.partition.value();
      }
      all.settle(assigned);
    }
  }
}

TEST(StickyAssignor, SharesOutTenThousandPartitionsAmongAThousandMembers) {
  group g;
  std::vector<std::string> names;
  for (unsigned t = 0; t < 100; ++t) names.push_back(fmt::format("t{:02}", t));
  for (const auto& name : names) g.topics.push_back({name, 100});
  g.members.push_back({"m000", names});
  g = after(g, stuck(g));
  EXPECT_THAT(g.members[0].owned, SizeIs(10'000));
  for (unsigned m = 1; m < 1000; ++m) g.members.push_back({fmt::format("m{:03}", m), names});
  const auto shared = stuck(g);
  EXPECT_THAT(shared, Each(SizeIs(10)));
  EXPECT_EQ(moves(g, shared), 9990U);
  g = after(g, shared);
  g.members.erase(g.members.begin() + 100, g.members.begin() + 200);
  EXPECT_EQ(moves(g, stuck(g)), 0U);
}

TEST(StickyAssignor, BalancesTwoThousandPartitionsAmongTwoHundredMembersWithSubscriptionsOfTheirOwn) {
  random_groups some{1};
  const group_shape shape{.members_max = 200, .topics_max = 100, .partitions_max = 20};
  group g;
  for (unsigned t = 0; t < 100; ++t) g.topics.push_back({fmt::format("t{:02}", t), 20});
  for (unsigned m = 0; m < 200; ++m) g.members.push_back(some.member(fmt::format("m{:03}", m), g, shape));
  const auto first = stuck(g);
  EXPECT_THAT(first, Each(SizeIs(10)));
  g = after(g, first);
  group more = g;
  for (unsigned m = 0; m < 50; ++m) more.members.push_back(some.member(fmt::format("n{:02}", m), g, shape));
  const auto joined = stuck(more);
  EXPECT_THAT(joined, Each(SizeIs(8)));
  EXPECT_EQ(moves(more, joined), 400U) << "everyone gives up two, and gets nothing for them";
  for (auto& m : g.members) m.topics = some.member(m.id, g, shape).topics;
  const auto second = stuck(g);
  EXPECT_THAT(second, Each(SizeIs(10)));
  ASSERT_THAT(levada::group::check_assignment(*sticky_assignor(), g.members, g.topics, second), succeeds());
}

}  // namespace
}  // namespace levada::test
