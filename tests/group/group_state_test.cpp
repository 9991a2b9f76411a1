#include "group/group_state.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>

#include <levada/assignor.hpp>

namespace levada::group {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using time = group_state::time;

topic_partition at(const std::string& topic, std::uint32_t partition) {
  return {topic, partition_id{partition}};
}

/// As range, but by the cooperative protocol; and not as it should be, where it is told so.
class odd_assignor final : public assignor {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "odd"; }
  [[nodiscard]] std::vector<std::vector<topic_partition>> assign(
      std::span<const assignor_member> members, std::span<const assignor_topic> topics) const override {
    if (members.size() > members_max) throw std::runtime_error{"too many members"};
    auto all = range_assignor()->assign(members, topics);
    if (members.size() < members_min) all[0].pop_back();
    return all;
  }
  [[nodiscard]] bool cooperative() const noexcept override { return true; }

  std::size_t members_min = 0;
  std::size_t members_max = 100;
};

/// Members of a group that reads topic "t" with four partitions.
class GroupState : public ::testing::Test {
 protected:
  void join(const std::string& member, time rebalance_timeout = 60s,
            std::shared_ptr<const assignor> by = std::make_shared<odd_assignor>(),
            group_state::held_records held = nullptr) {
    EXPECT_TRUE(state_.join(member, {"t"}, rebalance_timeout, {{"t", 4}}, std::move(by), now_, held));
  }
  void leave(const std::string& member) { state_.leave(member, now_); }
  /// What a member gives up when it is asked to.
  std::vector<std::uint32_t> give_up(const std::string& member) {
    const auto owed = state_.owed_by(member);
    state_.give_up(member, owed, now_);
    return numbers(owed);
  }
  void fence() { state_.fence_overdue(now_); }
  [[nodiscard]] static std::vector<std::uint32_t> numbers(const group_state::partitions& all) {
    std::vector<std::uint32_t> of;
    for (const auto& where : all) of.push_back(where.partition.value());
    return of;
  }
  [[nodiscard]] std::vector<std::uint32_t> owned_by(const std::string& member) const {
    return numbers(state_.owned_by(member));
  }

  group_state state_;
  time now_ = 1h;
};

TEST_F(GroupState, GivesTheFirstMemberEverythingAtOnce) {
  join("a");
  EXPECT_TRUE(state_.has("a"));
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1, 2, 3));
  EXPECT_TRUE(state_.owns("a", at("t", 3)));
  EXPECT_THAT(state_.owed_by("a"), IsEmpty());
}

TEST_F(GroupState, HandsPartitionsOverInTheStepInWhichTheirOwnerGivesThemUp) {
  join("a");
  join("b");
  EXPECT_THAT(owned_by("b"), IsEmpty()) << "what it shall have belongs to another still";
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(give_up("a"), ElementsAre(2, 3));
  EXPECT_FALSE(state_.owns("a", at("t", 2)));
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1));
  EXPECT_THAT(owned_by("b"), ElementsAre(2, 3));
  EXPECT_THAT(give_up("a"), IsEmpty());
}

TEST_F(GroupState, GivesBackWhatAMemberShallOwnAgainByThen) {
  join("a");
  join("b");
  const auto owed = state_.owed_by("a");
  leave("b");
  state_.give_up("a", owed, now_);
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1, 2, 3));
}

TEST_F(GroupState, TakesNothingFromOthersThatAMemberGivesUpTooLate) {
  join("a");
  join("b");
  const auto owed = state_.owed_by("a");
  state_.give_up("a", owed, now_);
  state_.give_up("a", owed, now_);
  state_.give_up("nobody", owed, now_);
  EXPECT_THAT(owned_by("b"), ElementsAre(2, 3));
}

TEST_F(GroupState, HandsEverythingOverAfterAllGaveUpEverythingWithAnEagerAssignor) {
  ASSERT_FALSE(range_assignor()->cooperative());
  join("a", 60s, range_assignor());
  join("b", 60s, range_assignor());
  EXPECT_THAT(owned_by("b"), IsEmpty());
  EXPECT_THAT(give_up("a"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1));
  EXPECT_THAT(owned_by("b"), ElementsAre(2, 3));
  join("c", 60s, range_assignor());
  EXPECT_THAT(give_up("a"), ElementsAre(0, 1));
  EXPECT_THAT(owned_by("a"), IsEmpty()) << "b has given up nothing yet";
  EXPECT_THAT(owned_by("c"), IsEmpty());
  EXPECT_THAT(give_up("b"), ElementsAre(2, 3));
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1));
  EXPECT_THAT(owned_by("b"), ElementsAre(2));
  EXPECT_THAT(owned_by("c"), ElementsAre(3));
}

TEST_F(GroupState, RefusesAMemberWithAnotherAssignor) {
  join("a", 60s, range_assignor());
  const auto refused = state_.join("b", {"t"}, 60s, {{"t", 4}}, std::make_shared<odd_assignor>(), now_);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error() == errc::inequivalent);
  EXPECT_FALSE(state_.has("b"));
  leave("a");
  EXPECT_TRUE(state_.join("b", {"t"}, 60s, {{"t", 4}}, std::make_shared<odd_assignor>(), now_));
}

TEST_F(GroupState, RefusesAMemberWithWhomTheAssignorBreaksItsRule) {
  const auto odd = std::make_shared<odd_assignor>();
  odd->members_max = 1;
  EXPECT_TRUE(state_.join("a", {"t"}, 60s, {{"t", 4}}, odd, now_));
  const auto refused = state_.join("b", {"t"}, 60s, {{"t", 4}}, odd, now_);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error() == errc::invalid_argument);
  EXPECT_FALSE(state_.has("b"));
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1, 2, 3)) << "nothing has changed";
  EXPECT_THAT(state_.owed_by("a"), IsEmpty());
  EXPECT_TRUE(state_.broken());
}

TEST_F(GroupState, RefusesASecondMemberOfTheSameId) {
  join("a");
  const auto refused = state_.join("a", {"t"}, 60s, {{"t", 4}}, std::make_shared<odd_assignor>(), now_);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error() == errc::invalid_argument);
}

TEST_F(GroupState, TellsAMemberFromTheNextOneOfItsId) {
  const auto first = std::make_shared<std::atomic<std::uint64_t>>(0);
  const auto second = std::make_shared<std::atomic<std::uint64_t>>(0);
  join("a", 60s, std::make_shared<odd_assignor>(), first);
  EXPECT_TRUE(state_.has("a", first));
  leave("a");
  join("a", 60s, std::make_shared<odd_assignor>(), second);
  EXPECT_FALSE(state_.has("a", first));
  EXPECT_TRUE(state_.has("a", second));
}

TEST_F(GroupState, TellsMembersWhenTheAssignorBreaksItsRuleAsOneLeaves) {
  const auto odd = std::make_shared<odd_assignor>();
  for (const char* const member : {"a", "b"})
    EXPECT_TRUE(state_.join(member, {"t"}, 60s, {{"t", 4}}, odd, now_));
  give_up("a");
  odd->members_min = 2;
  leave("b");
  ASSERT_FALSE(state_.broken());
  EXPECT_TRUE(state_.broken().error() == errc::invalid_argument);
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1)) << "targets are as they were";
  odd->members_min = 0;
  EXPECT_TRUE(state_.join("c", {"t"}, 60s, {{"t", 4}}, odd, now_));
  EXPECT_TRUE(state_.broken());
}

TEST_F(GroupState, GivesWhatALeavingMemberOwnedToOthersAtOnce) {
  join("a");
  join("b");
  leave("a");
  EXPECT_FALSE(state_.has("a"));
  EXPECT_FALSE(state_.owns("a", at("t", 0)));
  EXPECT_THAT(owned_by("b"), ElementsAre(0, 1, 2, 3));
}

TEST_F(GroupState, FencesAMemberThatHoldsOnForTheWholeTimeOut) {
  join("a", 10s);
  join("b");
  EXPECT_EQ(state_.next_deadline(), now_ + 10s);
  now_ += 10s - 1ns;
  fence();
  EXPECT_TRUE(state_.has("a"));
  now_ += 1ns;
  fence();
  EXPECT_FALSE(state_.has("a"));
  EXPECT_THAT(owned_by("b"), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(state_.next_deadline(), time::max());
}

TEST_F(GroupState, CountsWhatFencedMembersHeld) {
  const auto held = std::make_shared<std::atomic<std::uint64_t>>(0);
  join("a", 10s, std::make_shared<odd_assignor>(), held);
  join("b", 10s);
  *held = 7;
  leave("b");
  EXPECT_EQ(state_.possible_duplicates(), 0U);
  join("c", 10s);
  now_ += 10s;
  group_state rehearsal = state_;
  rehearsal.fence_overdue(now_);
  EXPECT_EQ(rehearsal.possible_duplicates(), 7U);
  EXPECT_EQ(state_.possible_duplicates(), 0U) << "a copy is a copy";
  fence();
  EXPECT_EQ(state_.possible_duplicates(), 7U);
  join("d", 10s);
  now_ += 10s;
  fence();
  EXPECT_EQ(state_.possible_duplicates(), 7U) << "c gives no account";
}

TEST_F(GroupState, KeepsAMemberThatComesAtTheLastMoment) {
  join("a", 10s);
  join("b");
  now_ += 10s - 1ns;
  EXPECT_THAT(give_up("a"), ElementsAre(2, 3));
  now_ += 1h;
  fence();
  EXPECT_TRUE(state_.has("a"));
  EXPECT_TRUE(state_.has("b"));
}

TEST_F(GroupState, DoesNotGrantMoreTimeForFurtherChanges) {
  join("a", 10s);
  join("b");
  now_ += 6s;
  join("c");
  EXPECT_EQ(state_.next_deadline(), now_ + 4s);
  now_ += 4s;
  fence();
  EXPECT_FALSE(state_.has("a"));
}

TEST_F(GroupState, GrantsTheWholeTimeForWhatIsDemandedAfterAMemberHasGivenUpTheRest) {
  join("a", 10s);
  join("b");
  const auto first = state_.owed_by("a");
  now_ += 6s;
  join("c");
  state_.give_up("a", first, now_);
  EXPECT_EQ(state_.owed_by("a").empty(), state_.next_deadline() == time::max());
  EXPECT_TRUE(state_.next_deadline() == time::max() || state_.next_deadline() >= now_ + 10s);
}

TEST_F(GroupState, ForgetsTheTimeOutWhenAMemberMayKeepWhatItHas) {
  join("a", 10s);
  join("b");
  now_ += 5s;
  leave("b");
  EXPECT_EQ(state_.next_deadline(), time::max());
  join("b");
  EXPECT_EQ(state_.next_deadline(), now_ + 10s) << "it starts anew";
}

TEST_F(GroupState, TellsTheFirstOfSeveralDeadlines) {
  EXPECT_TRUE(
      state_.join("a", {"t", "u"}, 10s, {{"t", 4}, {"u", 4}}, std::make_shared<odd_assignor>(), now_));
  EXPECT_TRUE(state_.join("b", {"t", "u"}, 5s, {{"t", 4}, {"u", 4}}, std::make_shared<odd_assignor>(), now_));
  give_up("a");
  EXPECT_EQ(state_.next_deadline(), time::max());
  EXPECT_TRUE(state_.join("0", {"t", "u"}, 1s, {{"t", 4}, {"u", 4}}, std::make_shared<odd_assignor>(), now_));
  EXPECT_EQ(state_.next_deadline(), now_ + 5s);
  give_up("b");
  EXPECT_EQ(state_.next_deadline(), now_ + 10s);
}

TEST_F(GroupState, NeverFencesAMemberThatHasNothingToGiveUp) {
  join("a", 1s);
  now_ += 24h;
  fence();
  EXPECT_TRUE(state_.has("a"));
}

TEST_F(GroupState, CountsGenerationsByChangesOfMembership) {
  state_.set_generation(41);
  join("a", 10s);
  EXPECT_EQ(state_.generation(), 42U);
  join("b");
  EXPECT_EQ(state_.generation(), 43U);
  const auto version = state_.version();
  fence();
  EXPECT_EQ(state_.version(), version) << "nobody was overdue";
  now_ += 10s;
  fence();
  EXPECT_EQ(state_.generation(), 44U) << "a was fenced";
  EXPECT_NE(state_.version(), version);
  leave("b");
  EXPECT_EQ(state_.generation(), 45U);
  leave("b");
  leave("nobody");
  EXPECT_EQ(state_.generation(), 45U);
}

TEST_F(GroupState, KnowsNothingOfStrangers) {
  EXPECT_TRUE(state_.empty());
  EXPECT_FALSE(state_.has("nobody"));
  EXPECT_FALSE(state_.owns("nobody", at("t", 0)));
  EXPECT_THAT(state_.owned_by("nobody"), IsEmpty());
  EXPECT_THAT(state_.owed_by("nobody"), IsEmpty());
  EXPECT_FALSE(state_.subscribe("nobody", {"t"}, {{"t", 4}}, now_));
  EXPECT_THAT(state_.members(), IsEmpty());
  EXPECT_EQ(state_.next_deadline(), time::max());
}

TEST_F(GroupState, AddsATopicThatALaterMemberBrings) {
  EXPECT_TRUE(state_.join("a", {"t"}, 60s, {{"t", 2}}, std::make_shared<odd_assignor>(), now_));
  EXPECT_TRUE(
      state_.join("b", {"u", "t"}, 60s, {{"u", 1}, {"t", 2}}, std::make_shared<odd_assignor>(), now_));
  give_up("a");
  EXPECT_THAT(state_.owned_by("b"), ElementsAre(at("t", 1), at("u", 0)));
  EXPECT_THAT(owned_by("a"), ElementsAre(0));
}

TEST_F(GroupState, ChangesWhatAMemberReads) {
  const auto odd = std::make_shared<odd_assignor>();
  EXPECT_TRUE(state_.join("a", {"t"}, 60s, {{"t", 2}}, odd, now_));
  EXPECT_TRUE(state_.subscribe("a", {"t", "u"}, {{"t", 2}, {"u", 1}}, now_));
  EXPECT_THAT(state_.owned_by("a"), ElementsAre(at("t", 0), at("t", 1), at("u", 0)));
  EXPECT_EQ(state_.generation(), 2U);
  EXPECT_TRUE(state_.subscribe("a", {"u"}, {{"u", 1}}, now_));
  EXPECT_THAT(state_.owed_by("a"), ElementsAre(at("t", 0), at("t", 1)));
  odd->members_max = 0;
  EXPECT_FALSE(state_.subscribe("a", {"t"}, {{"t", 2}}, now_));
  EXPECT_THAT(state_.owed_by("a"), ElementsAre(at("t", 0), at("t", 1))) << "it is as it was";
}

TEST_F(GroupState, ForgetsATopicThatIsGoneAndWhoOwnedIt) {
  EXPECT_TRUE(
      state_.join("a", {"t", "u"}, 60s, {{"t", 4}, {"u", 1}}, std::make_shared<odd_assignor>(), now_));
  state_.forget_topic("t", now_);
  EXPECT_FALSE(state_.owns("a", at("t", 0)));
  EXPECT_TRUE(state_.owns("a", at("u", 0)));
  EXPECT_THAT(state_.owed_by("a"), IsEmpty());
  // A new topic of that name, with another number of partitions, belongs to who asks for it.
  EXPECT_TRUE(state_.join("b", {"t"}, 60s, {{"t", 2}}, std::make_shared<odd_assignor>(), now_));
  EXPECT_THAT(owned_by("b"), ElementsAre(0, 1));
  EXPECT_THAT(state_.owned_by("a"), ElementsAre(at("u", 0)));
}

TEST_F(GroupState, ListsMembersById) {
  join("b");
  join("c");
  join("a");
  std::vector<std::string> ids;
  for (const auto& m : state_.members()) ids.push_back(m.id);
  EXPECT_THAT(ids, ElementsAre("a", "b", "c"));
}

/// Joins, leaves, handovers and passing time at random, beside a plain account of who may own what.
class random_group {
 public:
  explicit random_group(unsigned seed) : random_{seed} {}

  void run() {
    for (int step = 0; step < 200 && !::testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE(fmt::format("step {}", step));
      switch (below(8)) {
        case 0:
          join();
          break;
        case 1:
          if (!members_.empty()) leave(any_member());
          break;
        case 2:
          now_ += std::chrono::seconds{below(8)};
          break;
        case 3:
          fence_overdue();
          break;
        case 4:
          if (!members_.empty()) give_up_late(any_member());
          break;
        default:
          if (!members_.empty()) give_up(any_member());
          break;
      }
      compare();
    }
    for (const auto& [id, m] : members_) give_up(id);
    compare();
    for (const auto& [id, m] : members_) {
      EXPECT_THAT(state_.owed_by(id), IsEmpty()) << id;
      EXPECT_EQ(m.owned, target_of(id)) << id;
    }
  }

 private:
  struct member {
    std::vector<std::string> topics;
    time timeout{};
    std::set<topic_partition> owned;
    std::optional<time> must_give_up_since;
  };

  std::uint32_t below(std::uint32_t n) {
    return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random_);
  }
  std::string any_member() {
    return std::next(members_.begin(), below(static_cast<std::uint32_t>(members_.size())))->first;
  }

  std::set<topic_partition> target_of(const std::string& id) const {
    std::vector<assignor_member> readers;
    for (const auto& [name, m] : members_) readers.push_back({name, m.topics});
    std::vector<assignor_topic> sizes;
    for (const auto& [topic, size] : sizes_) sizes.push_back({topic, size});
    const auto assigned = range_assignor()->assign(readers, sizes);
    for (std::size_t i = 0; i < readers.size(); ++i) {
      if (readers[i].id == id) return {assigned[i].begin(), assigned[i].end()};
    }
    return {};
  }

  void membership_changed() {
    rebalanced();
    grant();
  }
  void rebalanced() {
    ++changes_;
    for (auto& [id, m] : members_) {
      const auto target = target_of(id);
      const bool must = !std::includes(target.begin(), target.end(), m.owned.begin(), m.owned.end());
      if (!must) {
        m.must_give_up_since.reset();
      } else if (!m.must_give_up_since) {
        m.must_give_up_since = now_;
      }
    }
  }
  void grant() {
    std::set<topic_partition> taken;
    for (const auto& [id, m] : members_) taken.insert(m.owned.begin(), m.owned.end());
    for (auto& [id, m] : members_) {
      for (const auto& where : target_of(id)) {
        if (taken.insert(where).second) m.owned.insert(where);
      }
    }
  }

  void join() {
    const std::string id = fmt::format("m{}", below(1000));
    if (members_.contains(id)) return;
    member m;
    for (const auto& [topic, size] : sizes_) {
      if (below(3) != 0) m.topics.push_back(topic);
    }
    m.timeout = std::chrono::seconds{1 + below(20)};
    EXPECT_TRUE(state_.join(id, m.topics, m.timeout, sizes_, std::make_shared<odd_assignor>(), now_));
    members_.emplace(id, std::move(m));
    membership_changed();
  }

  void leave(const std::string& id) {
    state_.leave(id, now_);
    members_.erase(id);
    membership_changed();
  }

  void fence_overdue() {
    state_.fence_overdue(now_);
    for (;;) {
      const auto overdue = std::find_if(members_.begin(), members_.end(), [&](const auto& entry) {
        const auto& m = entry.second;
        return m.must_give_up_since && *m.must_give_up_since + m.timeout <= now_;
      });
      if (overdue == members_.end()) return grant();
      ++fenced_;
      members_.erase(overdue);
      rebalanced();
    }
  }

  /// `meanwhile` happens between asking and giving up.
  template <class Function>
  void hand_over(const std::string& id, Function meanwhile) {
    const auto owed = state_.owed_by(id);
    const auto target = target_of(id);
    auto& m = members_.at(id);
    for (const auto& where : owed) {
      EXPECT_TRUE(m.owned.contains(where)) << "what it did not own was revoked";
      EXPECT_FALSE(target.contains(where)) << "what it shall own was revoked";
    }
    meanwhile();
    state_.give_up(id, owed, now_);
    const auto found = members_.find(id);
    if (found == members_.end()) return;
    for (const auto& where : owed) found->second.owned.erase(where);
    const auto now_target = target_of(id);
    const bool must = !std::includes(now_target.begin(), now_target.end(), found->second.owned.begin(),
                                     found->second.owned.end());
    found->second.must_give_up_since = must ? std::optional{now_} : std::nullopt;
    grant();
  }
  void give_up(const std::string& id) {
    hand_over(id, [] {});
  }
  void give_up_late(const std::string& id) {
    hand_over(id, [&] {
      if (below(2) == 0) join();
      if (below(2) == 0) leave(any_member());
    });
  }

  /// The state's view of the group is the same as this one's.
  void compare() {
    EXPECT_EQ(state_.generation(), changes_) << "one generation for each change";
    const auto views = state_.members();
    ASSERT_EQ(views.size(), members_.size());
    std::size_t i = 0;
    time deadline = time::max();
    for (const auto& [id, m] : members_) {
      EXPECT_EQ(views[i].id, id);
      EXPECT_EQ((std::set<topic_partition>{views[i].owned.begin(), views[i].owned.end()}), m.owned);
      EXPECT_TRUE(std::is_sorted(views[i].owned.begin(), views[i].owned.end()));
      if (m.must_give_up_since) deadline = std::min(deadline, *m.must_give_up_since + m.timeout);
      ++i;
    }
    EXPECT_EQ(state_.next_deadline(), deadline);
    for (const auto& [topic, size] : sizes_) {
      for (std::uint32_t p = 0; p < size; ++p) {
        std::size_t owners = 0;
        for (const auto& [id, m] : members_) {
          EXPECT_EQ(state_.owns(id, at(topic, p)), m.owned.contains(at(topic, p)));
          owners += m.owned.count(at(topic, p));
        }
        EXPECT_LE(owners, 1U);
      }
    }
  }

  std::mt19937 random_;
  const std::map<std::string, std::uint32_t> sizes_{{"t", 4}, {"u", 1}, {"v", 7}};
  group_state state_;
  time now_{};
  std::map<std::string, member> members_;
  std::uint32_t changes_ = 0;

 public:
  std::size_t fenced_ = 0;
};

TEST(GroupStateModel, NeverGivesAPartitionTwoOwnersAndLeavesNoneWithout) {
  std::size_t fenced = 0;
  for (unsigned seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    random_group group{seed};
    group.run();
    if (::testing::Test::HasFailure()) return;
    fenced += group.fenced_;
  }
  EXPECT_GT(fenced, 100U) << "the sequences shall reach fencing";
}

}  // namespace
}  // namespace levada::group
