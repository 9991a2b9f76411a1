#include "group/group_state.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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
            std::shared_ptr<const assignor> by = std::make_shared<odd_assignor>()) {
    EXPECT_TRUE(state_.join(member, {"t"}, rebalance_timeout, {{"t", 4}}, std::move(by), now_));
  }
  void leave(const std::string& member) { state_.leave(member, now_); }
  group_state::sync_result sync(const std::string& member) { return state_.sync(member, now_); }
  [[nodiscard]] std::vector<std::uint32_t> owned_by(const std::string& member) const {
    std::vector<std::uint32_t> all;
    for (const auto& m : state_.members()) {
      if (m.id != member) continue;
      for (const auto& where : m.owned) all.push_back(where.partition.value());
    }
    return all;
  }

  group_state state_;
  time now_ = 1h;
};

TEST_F(GroupState, GivesTheFirstMemberEverythingAtItsFirstSync) {
  join("a");
  EXPECT_TRUE(state_.has("a"));
  EXPECT_TRUE(state_.pending("a"));
  EXPECT_FALSE(state_.owns("a", at("t", 0)));
  const auto changes = sync("a");
  EXPECT_TRUE(changes.member);
  EXPECT_THAT(changes.revoked, IsEmpty());
  EXPECT_THAT(changes.acquired, ElementsAre(at("t", 0), at("t", 1), at("t", 2), at("t", 3)));
  EXPECT_TRUE(state_.owns("a", at("t", 3)));
  EXPECT_FALSE(state_.pending("a"));
  const auto again = sync("a");
  EXPECT_TRUE(again.member);
  EXPECT_THAT(again.revoked, IsEmpty());
  EXPECT_THAT(again.acquired, IsEmpty());
}

TEST_F(GroupState, HandsPartitionsOverOnlyWhenTheirOwnerGaveThemUp) {
  join("a");
  sync("a");
  join("b");
  EXPECT_FALSE(state_.pending("b")) << "what it shall have belongs to another still";
  EXPECT_THAT(sync("b").acquired, IsEmpty());
  EXPECT_TRUE(state_.pending("a"));
  EXPECT_THAT(sync("a").revoked, ElementsAre(at("t", 2), at("t", 3)));
  EXPECT_FALSE(state_.owns("a", at("t", 2)));
  EXPECT_TRUE(state_.pending("b"));
  EXPECT_THAT(sync("b").acquired, ElementsAre(at("t", 2), at("t", 3)));
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1));
  EXPECT_THAT(owned_by("b"), ElementsAre(2, 3));
}

TEST_F(GroupState, HandsEverythingOverAfterAllGaveUpEverythingWithAnEagerAssignor) {
  ASSERT_FALSE(range_assignor()->cooperative());
  join("a", 60s, range_assignor());
  sync("a");
  join("b", 60s, range_assignor());
  EXPECT_THAT(sync("b").acquired, IsEmpty());
  const auto first = sync("a");
  EXPECT_THAT(first.revoked, ElementsAre(at("t", 0), at("t", 1), at("t", 2), at("t", 3)));
  EXPECT_THAT(first.acquired, ElementsAre(at("t", 0), at("t", 1)));
  sync("b");
  join("c", 60s, range_assignor());
  EXPECT_THAT(sync("a").revoked, ElementsAre(at("t", 0), at("t", 1)));
  EXPECT_THAT(sync("a").acquired, IsEmpty()) << "b has given up nothing yet";
  EXPECT_FALSE(state_.pending("c"));
  EXPECT_THAT(sync("b").revoked, ElementsAre(at("t", 2), at("t", 3)));
  EXPECT_TRUE(state_.pending("a"));
  EXPECT_THAT(sync("a").acquired, ElementsAre(at("t", 0), at("t", 1)));
  EXPECT_THAT(sync("c").acquired, ElementsAre(at("t", 3)));
  EXPECT_THAT(owned_by("b"), ElementsAre(2));
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
  sync("a");
  const auto refused = state_.join("b", {"t"}, 60s, {{"t", 4}}, odd, now_);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error() == errc::invalid_argument);
  EXPECT_FALSE(state_.has("b"));
  EXPECT_FALSE(state_.pending("a")) << "nothing has changed";
  EXPECT_TRUE(sync("a").broken);
}

TEST_F(GroupState, TellsMembersWhenTheAssignorBreaksItsRuleAsOneLeaves) {
  const auto odd = std::make_shared<odd_assignor>();
  for (const char* const member : {"a", "b"})
    EXPECT_TRUE(state_.join(member, {"t"}, 60s, {{"t", 4}}, odd, now_));
  sync("a");
  sync("b");
  odd->members_min = 2;
  leave("b");
  const auto told = sync("a");
  ASSERT_FALSE(told.broken);
  EXPECT_TRUE(told.broken.error() == errc::invalid_argument);
  EXPECT_THAT(owned_by("a"), ElementsAre(0, 1)) << "targets are as they were";
  odd->members_min = 0;
  EXPECT_TRUE(state_.join("c", {"t"}, 60s, {{"t", 4}}, odd, now_));
  EXPECT_TRUE(sync("a").broken);
}

TEST_F(GroupState, FreesWhatALeavingMemberOwnedAtOnce) {
  join("a");
  sync("a");
  join("b");
  leave("a");
  EXPECT_FALSE(state_.has("a"));
  EXPECT_FALSE(state_.owns("a", at("t", 0)));
  EXPECT_THAT(sync("b").acquired, ElementsAre(at("t", 0), at("t", 1), at("t", 2), at("t", 3)));
}

TEST_F(GroupState, FencesAMemberThatHoldsOnForTheWholeTimeOut) {
  join("a", 10s);
  sync("a");
  join("b");
  EXPECT_EQ(state_.next_deadline(), now_ + 10s);
  now_ += 10s - 1ns;
  EXPECT_THAT(sync("b").acquired, IsEmpty());
  EXPECT_TRUE(state_.has("a"));
  now_ += 1ns;
  EXPECT_THAT(sync("b").acquired.size(), 4U);
  EXPECT_FALSE(state_.has("a"));
  EXPECT_EQ(state_.next_deadline(), time::max());
  const auto late = sync("a");
  EXPECT_FALSE(late.member);
  EXPECT_THAT(late.revoked, IsEmpty());
  EXPECT_THAT(late.acquired, IsEmpty());
}

TEST_F(GroupState, FencesAMemberThatComesTooLateItself) {
  join("a", 10s);
  sync("a");
  join("b");
  now_ += 10s;
  EXPECT_FALSE(sync("a").member);
  EXPECT_THAT(sync("b").acquired.size(), 4U);
}

TEST_F(GroupState, KeepsAMemberThatComesAtTheLastMoment) {
  join("a", 10s);
  sync("a");
  join("b");
  now_ += 10s - 1ns;
  EXPECT_THAT(sync("a").revoked.size(), 2U);
  now_ += 1h;
  EXPECT_TRUE(sync("b").member);
  EXPECT_TRUE(sync("a").member);
}

TEST_F(GroupState, DoesNotGrantMoreTimeForFurtherChanges) {
  join("a", 10s);
  sync("a");
  join("b");
  now_ += 6s;
  join("c");
  EXPECT_EQ(state_.next_deadline(), now_ + 4s);
  now_ += 4s;
  sync("c");
  EXPECT_FALSE(state_.has("a"));
}

TEST_F(GroupState, ForgetsTheTimeOutWhenAMemberMayKeepWhatItHas) {
  join("a", 10s);
  sync("a");
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
  sync("a");
  sync("b");
  EXPECT_EQ(state_.next_deadline(), time::max());
  EXPECT_TRUE(state_.join("0", {"t", "u"}, 1s, {{"t", 4}, {"u", 4}}, std::make_shared<odd_assignor>(), now_));
  EXPECT_EQ(state_.next_deadline(), now_ + 5s);
  sync("b");
  EXPECT_EQ(state_.next_deadline(), now_ + 10s);
}

TEST_F(GroupState, NeverFencesAMemberThatHasNothingToGiveUp) {
  join("a", 1s);
  sync("a");
  now_ += 24h;
  EXPECT_TRUE(sync("a").member);
  leave("a");
  join("b", 1s);
  join("c", 1s);
  now_ += 24h;
  EXPECT_TRUE(sync("c").member);
  EXPECT_TRUE(state_.has("b")) << "it owns nothing yet";
}

TEST_F(GroupState, CountsGenerationsByChangesOfMembership) {
  state_.set_generation(41);
  join("a", 10s);
  EXPECT_EQ(state_.generation(), 42U);
  sync("a");
  EXPECT_EQ(state_.generation(), 42U);
  join("b");
  EXPECT_EQ(state_.generation(), 43U);
  now_ += 10s;
  sync("b");
  EXPECT_EQ(state_.generation(), 44U) << "a was fenced";
  leave("b");
  EXPECT_EQ(state_.generation(), 45U);
  leave("b");
  leave("nobody");
  EXPECT_EQ(state_.generation(), 45U);
}

TEST_F(GroupState, KnowsNothingOfStrangers) {
  EXPECT_FALSE(state_.has("nobody"));
  EXPECT_FALSE(state_.owns("nobody", at("t", 0)));
  EXPECT_TRUE(state_.pending("nobody")) << "so that it syncs, and learns that it is no member";
  EXPECT_FALSE(sync("nobody").member);
  EXPECT_THAT(state_.members(), IsEmpty());
  EXPECT_EQ(state_.next_deadline(), time::max());
}

TEST_F(GroupState, AddsATopicThatALaterMemberBrings) {
  EXPECT_TRUE(state_.join("a", {"t"}, 60s, {{"t", 2}}, std::make_shared<odd_assignor>(), now_));
  sync("a");
  EXPECT_TRUE(
      state_.join("b", {"u", "t"}, 60s, {{"u", 1}, {"t", 2}}, std::make_shared<odd_assignor>(), now_));
  sync("a");
  EXPECT_THAT(sync("b").acquired, ElementsAre(at("t", 1), at("u", 0)));
  EXPECT_THAT(owned_by("a"), ElementsAre(0));
}

TEST_F(GroupState, ForgetsATopicThatIsGoneAndWhoOwnedIt) {
  EXPECT_TRUE(
      state_.join("a", {"t", "u"}, 60s, {{"t", 4}, {"u", 1}}, std::make_shared<odd_assignor>(), now_));
  sync("a");
  state_.forget_topic("t", now_);
  EXPECT_FALSE(state_.owns("a", at("t", 0)));
  EXPECT_TRUE(state_.owns("a", at("u", 0)));
  EXPECT_FALSE(state_.pending("a")) << "it has nothing to give up";
  // A new topic of that name, with another number of partitions, belongs to who asks for it.
  EXPECT_TRUE(state_.join("b", {"t"}, 60s, {{"t", 2}}, std::make_shared<odd_assignor>(), now_));
  EXPECT_THAT(sync("b").acquired, ElementsAre(at("t", 0), at("t", 1)));
  EXPECT_THAT(sync("a").acquired, IsEmpty());
}

TEST_F(GroupState, ListsMembersById) {
  join("b");
  join("c");
  join("a");
  std::vector<std::string> ids;
  for (const auto& m : state_.members()) ids.push_back(m.id);
  EXPECT_THAT(ids, ElementsAre("a", "b", "c"));
}

/// Joins, leaves, syncs and passing time at random, beside a plain account of who may own what.
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
          sync(fmt::format("stranger-{}", below(3)));
          break;
        default:
          if (!members_.empty()) sync(any_member());
          break;
      }
      compare();
    }
    // Everybody polls, twice: what one gives up, another takes.
    for (int round = 0; round < 2; ++round) {
      std::vector<std::string> ids;
      for (const auto& [id, m] : members_) ids.push_back(id);
      for (const auto& id : ids) sync(id);
    }
    compare();
    for (const auto& [id, m] : members_) {
      EXPECT_FALSE(state_.pending(id)) << id;
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
    for (;;) {
      const auto overdue = std::find_if(members_.begin(), members_.end(), [&](const auto& entry) {
        const auto& m = entry.second;
        return m.must_give_up_since && *m.must_give_up_since + m.timeout <= now_;
      });
      if (overdue == members_.end()) return;
      ++fenced_;
      members_.erase(overdue);
      membership_changed();
    }
  }

  void sync(const std::string& id) {
    if (const auto found = members_.find(id); found != members_.end()) {
      auto& m = found->second;
      if (m.must_give_up_since && *m.must_give_up_since + m.timeout > now_) m.must_give_up_since.reset();
    }
    fence_overdue();
    const auto changes = state_.sync(id, now_);
    const auto found = members_.find(id);
    ASSERT_EQ(changes.member, found != members_.end());
    if (!changes.member) {
      EXPECT_TRUE(changes.revoked.empty() && changes.acquired.empty());
      return;
    }
    const auto target = target_of(id);
    for (const auto& where : changes.revoked) {
      EXPECT_EQ(found->second.owned.erase(where), 1U) << "what it did not own was revoked";
      EXPECT_FALSE(target.contains(where)) << "what it shall own was revoked";
    }
    for (const auto& where : changes.acquired) {
      for (const auto& [other, m] : members_) EXPECT_FALSE(m.owned.contains(where)) << "two owners";
      EXPECT_TRUE(found->second.owned.insert(where).second);
    }
    EXPECT_TRUE(
        std::includes(target.begin(), target.end(), found->second.owned.begin(), found->second.owned.end()))
        << "it keeps nothing that it shall not own";
    found->second.must_give_up_since.reset();
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
