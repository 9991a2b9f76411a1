#include "bus/group_commit.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>

#include "sleeping_threads.hpp"

namespace levada::test {
namespace {

using ::testing::ElementsAre;
using groups = std::vector<std::vector<int>>;

/// What the engine knows an intent by.
class numbered {
 public:
  virtual ~numbered() = default;
  [[nodiscard]] virtual int number() const noexcept = 0;
};
int number_of(const intent& i) {
  return dynamic_cast<const numbered&>(i).number();
}

/// An intent that is only a number: what becomes of it is up to the engine.
class numbered_intent final : public intent, public numbered {
 public:
  explicit numbered_intent(int number, std::size_t cost = 0, bool alone = false)
      : intent{cost}, number_{number}, alone_{alone} {}
  [[nodiscard]] int number() const noexcept override { return number_; }
  result<void> execute(commit_scope&) override { return {}; }
  void applied(commit_scope&) noexcept override {}
  [[nodiscard]] bool alone() const noexcept override { return alone_; }

 private:
  int number_;
  bool alone_;
};

/// Notes the groups that it is given. Can be held, so that others gather behind the group that is with it.
class fake_engine final : public commit_engine {
 public:
  void commit(std::span<intent* const> group) noexcept override {
    EXPECT_EQ(++inside_, 1) << "two commits at a time";
    std::vector<int> numbers;
    for (const intent* const i : group) numbers.push_back(number_of(*i));
    {
      std::unique_lock lock{mutex_};
      seen_.push_back(numbers);
      entered_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !held_; });
    }
    for (intent* const i : group) {
      const int number = number_of(*i);
      if (failing_group_ && group.size() > 1) {
        set_outcome(*i, error{errc::disk_full, "the whole group"});
      } else if (number % 10 == 7) {
        set_outcome(*i, error{errc::invalid_argument, std::to_string(number)});
      } else {
        set_outcome(*i, {});
      }
    }
    --inside_;
  }
  void hold() {
    const std::lock_guard guard{mutex_};
    held_ = true;
    entered_ = false;
  }
  void wait_until_entered() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return entered_; });
  }
  void let_go() {
    const std::lock_guard guard{mutex_};
    held_ = false;
    changed_.notify_all();
  }
  void fail_groups() { failing_group_ = true; }
  [[nodiscard]] groups seen() {
    const std::lock_guard guard{mutex_};
    return seen_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  bool entered_ = false;
  std::atomic<bool> failing_group_{false};
  std::atomic<int> inside_{0};
  groups seen_;
};

class GroupCommit : public ::testing::Test {
 protected:
  static constexpr std::size_t bound = std::size_t{64} << 20;

  explicit GroupCommit(std::size_t pending_bytes_max = bound)
      : commits_{engine_, pending_bytes_max, [this] { ++wanted_; }} {}

  /// Holds the engine with intent 0 in it.
  void hold() {
    engine_.hold();
    start(0);
    engine_.wait_until_entered();
  }
  /// Publishes from a thread of its own and returns when that sleeps, so that arrivals have an order.
  void start(int number, std::size_t cost = 0, bool alone = false) {
    threads_.start([this, number, cost, alone] {
      numbered_intent i{number, cost, alone};
      const auto outcome = commits_.run(i);
      const std::lock_guard guard{mutex_};
      outcomes_.emplace(number, outcome);
    });
    if (number != 0) threads_.wait_until_asleep();
  }
  void finish() {
    engine_.let_go();
    threads_.join();
  }

  fake_engine engine_;
  std::atomic<int> wanted_{0};  // how often a leader was asked for
  group_commit commits_;
  std::mutex mutex_;
  std::map<int, result<void>> outcomes_;
  sleeping_threads threads_;
};

TEST_F(GroupCommit, CommitsInTheCallingThreadWhenNobodyElseWaits) {
  numbered_intent good{1};
  EXPECT_THAT(commits_.run(good), succeeds());
  numbered_intent bad{7};
  EXPECT_THAT(commits_.run(bad), fails_with(errc::invalid_argument));
  EXPECT_EQ(engine_.seen(), (groups{{1}, {7}}));
}

TEST_F(GroupCommit, TakesAllWhoWaitedTogetherInTheOrderOfTheirArrival) {
  hold();
  for (int i = 1; i <= 6; ++i) start(i);
  EXPECT_EQ(engine_.seen(), (groups{{0}})) << "they wait for the commit that is under way";
  EXPECT_TRUE(outcomes_.empty());
  finish();
  EXPECT_EQ(engine_.seen(), (groups{{0}, {1, 2, 3, 4, 5, 6}}));
  EXPECT_EQ(outcomes_.size(), 7U);
}

TEST_F(GroupCommit, GivesEveryPublisherItsOwnOutcome) {
  hold();
  for (const int i : {1, 7, 2, 17, 3}) start(i);
  finish();
  for (const int i : {0, 1, 2, 3}) EXPECT_THAT(outcomes_.at(i), succeeds()) << i;
  for (const int i : {7, 17}) {
    ASSERT_THAT(outcomes_.at(i), fails_with(errc::invalid_argument));
    EXPECT_EQ(outcomes_.at(i).error().message(), std::to_string(i));
  }
}

TEST_F(GroupCommit, LetsTheFailureOfACommitReachAllOfItsGroupAndNobodyElse) {
  hold();
  for (int i = 1; i <= 4; ++i) start(i);
  engine_.fail_groups();
  finish();
  for (int i = 1; i <= 4; ++i) {
    ASSERT_THAT(outcomes_.at(i), fails_with(errc::disk_full));
    EXPECT_EQ(outcomes_.at(i).error().message(), "the whole group");
  }
  EXPECT_THAT(outcomes_.at(0), succeeds());
  numbered_intent later{8};
  EXPECT_THAT(commits_.run(later), succeeds());
}

TEST_F(GroupCommit, CommitsAloneWhatAsksForIt) {
  hold();
  start(1);
  start(2, 0, true);
  start(3, 0, true);
  start(4);
  start(5);
  finish();
  EXPECT_EQ(engine_.seen(), (groups{{0}, {1}, {2}, {3}, {4, 5}}));
  EXPECT_EQ(outcomes_.size(), 6U);
}

TEST_F(GroupCommit, PutsNoMoreThanSixteenMebibytesIntoOneGroup) {
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  hold();
  start(1, 10 * mebibyte);
  start(2, 6 * mebibyte);
  start(3, 1);
  start(4, 20 * mebibyte);
  start(5);
  finish();
  EXPECT_EQ(engine_.seen(), (groups{{0}, {1, 2}, {3}, {4}, {5}})) << "one that is larger goes by itself";
}

/// A numbered intent that nobody waits for.
class SubmittedIntents : public GroupCommit {
 protected:
  class submitted_intent final : public intent, public numbered {
   public:
    submitted_intent(SubmittedIntents& test, int number, std::size_t cost, bool alone)
        : intent{cost}, test_{test}, number_{number}, alone_{alone} {}
    ~submitted_intent() override { ++test_.gone_; }
    [[nodiscard]] int number() const noexcept override { return number_; }
    result<void> execute(commit_scope&) override { return {}; }
    void applied(commit_scope&) noexcept override {}
    void finished(result<void> outcome) noexcept override {
      if (const auto then = std::exchange(test_.at_next_end_, nullptr)) then();
      const std::lock_guard guard{test_.mutex_};
      EXPECT_TRUE(test_.outcomes_.emplace(number_, std::move(outcome)).second) << number_;
    }
    [[nodiscard]] bool alone() const noexcept override { return alone_; }

   private:
    SubmittedIntents& test_;
    int number_;
    bool alone_;
  };
  void submit(int number, std::size_t cost = 0, bool alone = false,
              group_commit::led_by who = group_commit::led_by::any) {
    commits_.submit(std::make_unique<submitted_intent>(*this, number, cost, alone), who);
  }
  [[nodiscard]] std::size_t ended() {
    const std::lock_guard guard{mutex_};
    return outcomes_.size();
  }

  std::function<void()> at_next_end_;
  std::atomic<int> gone_{0};
};

TEST_F(SubmittedIntents, AreLedByWhoeverIsCalledAndTellTheirOutcome) {
  submit(1);
  submit(7);
  EXPECT_EQ(wanted_, 2);
  EXPECT_TRUE(commits_.wants_leader());
  EXPECT_EQ(ended(), 0U);
  commits_.lead();
  EXPECT_FALSE(commits_.wants_leader());
  EXPECT_EQ(engine_.seen(), (groups{{1, 7}}));
  EXPECT_THAT(outcomes_.at(1), succeeds());
  EXPECT_THAT(outcomes_.at(7), fails_with(errc::invalid_argument));
  EXPECT_EQ(gone_, 2);
}

TEST_F(SubmittedIntents, AreLedByTheirMakerWhoLeavesTheRest) {
  submit(1, 0, false, group_commit::led_by::caller);
  EXPECT_EQ(wanted_, 0);
  commits_.lead_some();
  EXPECT_EQ(engine_.seen(), (groups{{1}}));
  submit(2, 0, true, group_commit::led_by::caller);
  submit(3, 0, false, group_commit::led_by::caller);
  commits_.lead_some();
  EXPECT_EQ(engine_.seen(), (groups{{1}, {2}}));
  EXPECT_EQ(wanted_, 1) << "for the last one";
  EXPECT_TRUE(commits_.wants_leader());
  commits_.lead_some();
  commits_.lead_some();
  EXPECT_EQ(ended(), 3U);
}

TEST_F(SubmittedIntents, AreLeftToAThreadThatHasComeMeanwhile) {
  // It saw that somebody led, and nobody would have told it that he had stopped.
  submit(1, 0, true);
  submit(2);
  at_next_end_ = [this] { start(3); };
  commits_.lead_some();
  threads_.join();
  EXPECT_EQ(engine_.seen(), (groups{{1}, {2, 3}}));
  EXPECT_EQ(ended(), 3U);
}

TEST_F(SubmittedIntents, GoAlongWithAThreadThatWaits) {
  submit(1);
  submit(2, 0, true);
  submit(3);
  numbered_intent own{4};
  EXPECT_THAT(commits_.run(own), succeeds());
  EXPECT_EQ(engine_.seen(), (groups{{1}, {2}, {3, 4}})) << "it leads until its own is done";
  EXPECT_EQ(ended(), 3U);
  EXPECT_FALSE(commits_.wants_leader());
}

TEST_F(SubmittedIntents, AreLeftByALeaderWhoseOwnIsDone) {
  hold();
  submit(1);
  submit(2);
  EXPECT_EQ(wanted_, 0) << "somebody leads";
  finish();
  EXPECT_EQ(engine_.seen(), (groups{{0}}));
  EXPECT_EQ(wanted_, 1);
  commits_.lead();
  EXPECT_EQ(engine_.seen(), (groups{{0}, {1, 2}}));
}

TEST_F(SubmittedIntents, HandLeadershipToTheFirstWhoWaits) {
  hold();
  submit(1, 0, true);
  start(2);
  start(3, 0, true);
  submit(4);
  finish();
  EXPECT_EQ(engine_.seen(), (groups{{0}, {1}, {2}, {3}}));
  EXPECT_EQ(wanted_, 1) << "for the last, which nobody waits behind";
  commits_.lead();
  EXPECT_EQ(engine_.seen().back(), std::vector<int>{4});
}

TEST_F(SubmittedIntents, CanBeTakenBackBeforeTheyBegin) {
  submit(1);
  submit(2);
  EXPECT_EQ(commits_.take_back().size(), 2U);
  EXPECT_EQ(gone_, 2);
  EXPECT_FALSE(commits_.wants_leader());
  commits_.lead();
  EXPECT_TRUE(engine_.seen().empty());
  EXPECT_EQ(ended(), 0U) << "who takes them back tells of it";
}

TEST_F(SubmittedIntents, CommitEverythingOnceAmongThreadsThatWait) {
  constexpr int producers = 4;
  constexpr int each = 500;
  for (int p = 0; p < producers; ++p) {
    threads_.start([&, p] {
      for (int i = 0; i < each; ++i) {
        const int number = (p * each + i) * 10;
        if (p % 2 == 0) {
          submit(number, 0, i % 13 == 0);
          if (i % 3 == 0) commits_.lead();
        } else {
          numbered_intent one{number, 0, i % 13 == 0};
          EXPECT_THAT(commits_.run(one), succeeds());
        }
      }
    });
  }
  threads_.join();
  commits_.lead();
  EXPECT_EQ(ended(), std::size_t{2 * each});
  std::vector<int> next(producers, 0);
  for (const auto& group : engine_.seen()) {
    for (const int number : group)
      EXPECT_EQ(number / 10 % each, next[static_cast<std::size_t>(number / 10 / each)]++);
  }
  EXPECT_THAT(next, ElementsAre(each, each, each, each));
}

class BoundedGroupCommit : public GroupCommit {
 protected:
  BoundedGroupCommit() : GroupCommit{100} {}
};

TEST_F(BoundedGroupCommit, LetsPublishersWaitForRoomButNotThoseWithoutCost) {
  hold();
  start(1, 60);
  start(2, 40);
  start(3, 1);  // there is no room for it
  start(4);
  finish();
  EXPECT_EQ(engine_.seen(), (groups{{0}, {1, 2, 4}, {3}}));
  EXPECT_EQ(outcomes_.size(), 5U);
}

TEST_F(BoundedGroupCommit, TakesWhatIsLargerThanTheBoundWhenNothingElseWaits) {
  numbered_intent large{1, 1000};
  EXPECT_THAT(commits_.run(large), succeeds());
  hold();
  start(2, 50);
  start(3, 1000);
  start(4, 50);
  finish();
  EXPECT_EQ(engine_.seen(), (groups{{1}, {0}, {2, 4}, {3}}));
}

TEST_F(BoundedGroupCommit, GivesItsRoomBackWhenACommitFails) {
  for (int i = 0; i < 5; ++i) {
    numbered_intent bad{7, 80};
    EXPECT_THAT(commits_.run(bad), fails_with(errc::invalid_argument));
  }
  EXPECT_EQ(engine_.seen().size(), 5U) << "none of them waits for ever";
}

TEST_F(BoundedGroupCommit, CommitsEverythingOnceAndInEachThreadsOrder) {
  constexpr int publishers = 4;
  constexpr int each = 400;
  std::atomic<int> wrong{0};
  for (int p = 0; p < publishers; ++p) {
    threads_.start([&, p] {
      for (int i = 0; i < each; ++i) {
        const int number = p * each + i;
        numbered_intent one{number, static_cast<std::size_t>(number % 3 * 30), number % 11 == 0};
        const auto outcome = commits_.run(one);
        const bool right = number % 10 == 7 ? !outcome && outcome.error().message() == std::to_string(number)
                                            : outcome.has_value();
        if (!right) ++wrong;
      }
    });
  }
  threads_.join();
  EXPECT_EQ(wrong, 0);
  std::vector<int> next(publishers, 0);
  for (const auto& group : engine_.seen()) {
    for (const int number : group) {
      EXPECT_EQ(number % each, next[static_cast<std::size_t>(number / each)]++);
      if (number % 11 == 0) {
        EXPECT_EQ(group.size(), 1U);
      }
    }
  }
  EXPECT_THAT(next, ElementsAre(each, each, each, each));
}

}  // namespace
}  // namespace levada::test
