#include "bus/courier.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <support/result_testing.hpp>

namespace levada::test {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Commits whatever it is given.
class willing_engine final : public commit_engine {
 public:
  void commit(std::span<intent* const> group) noexcept override {
    for (intent* const i : group) set_outcome(*i, {});
  }
};

/// What has happened, in order, from any thread.
class happenings {
 public:
  void note(std::string what) {
    const std::lock_guard guard{mutex_};
    all_.push_back(std::move(what));
    changed_.notify_all();
  }
  std::vector<std::string> wait_for(std::size_t n) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return all_.size() >= n; });
    return all_;
  }
  std::vector<std::string> so_far() {
    const std::lock_guard guard{mutex_};
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

class noted_intent final : public intent {
 public:
  noted_intent(happenings& to, std::string name, std::size_t cost)
      : intent{cost}, to_{to}, name_{std::move(name)} {}
  [[nodiscard]] result<void> execute(commit_scope&) override { return {}; }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    to_.note(outcome ? name_ : name_ + " failed: " + outcome.error().message());
  }

 private:
  happenings& to_;
  std::string name_;
};

class Courier : public ::testing::Test {
 protected:
  ~Courier() override { courier_.stop({errc::closed, "the end"}); }

  void submit(const std::string& name, std::size_t cost = 1) {
    courier_.submit("do " + name, std::make_unique<noted_intent>(seen_, name, cost));
  }
  /// What the journal says when it is asked for room; nothing yet.
  void answer(result<void> room) {
    const std::lock_guard guard{mutex_};
    room_ = std::move(room);
    changed_.notify_all();
  }

  happenings seen_;
  manual_clock time_;
  willing_engine engine_;
  std::mutex mutex_;  // guards the next two
  std::condition_variable changed_;
  std::optional<result<void>> room_ = result<void>{};
  group_commit commits_{engine_, 100, [this] { courier_.lead(); }};
  courier courier_{time_,
                   commits_,
                   {.is_short =
                        [this] {
                          const std::lock_guard guard{mutex_};
                          return !room_ || !*room_;
                        },
                    .wait =
                        [this] {
                          std::unique_lock lock{mutex_};
                          changed_.wait(lock, [this] { return room_.has_value(); });
                          return *room_;
                        }}};
};

TEST_F(Courier, HasIntentsCommittedInTheirOrder) {
  for (const char* const name : {"a", "b", "c"}) submit(name);
  EXPECT_THAT(seen_.wait_for(3), ElementsAre("a", "b", "c"));
}

TEST_F(Courier, LetsIntentsInOnlyWhereThereIsRoom) {
  room_.reset();
  submit("a");
  submit("free", 0);
  EXPECT_TRUE(seen_.so_far().empty()) << "what costs nothing comes behind what came before";
  answer({});
  EXPECT_THAT(seen_.wait_for(2), ElementsAre("a", "free"));
  courier_.wait_until_let_in();
}

TEST_F(Courier, TellsWhyThereIsNoRoom) {
  room_.reset();
  submit("a");
  answer(error{errc::disk_full, "no room at all"});
  EXPECT_THAT(seen_.wait_for(1), ElementsAre("a failed: do a: no room at all"));
  answer({});
  submit("b");
  EXPECT_EQ(seen_.wait_for(2).back(), "b");
}

TEST_F(Courier, QueuesNoMoreThanTheBound) {
  for (int i = 0; i < 50; ++i) submit(std::to_string(i), 60);
  const auto all = seen_.wait_for(50);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(all[i], std::to_string(i));
}

TEST_F(Courier, RingsWhenTheTimeHasComeInTheOrderOfTimes) {
  static_cast<void>(courier_.ring(20ms, [this] { seen_.note("second"); }));
  static_cast<void>(courier_.ring(10ms, [this] { seen_.note("first"); }));
  const auto silenced = courier_.ring(15ms, [this] { seen_.note("never"); });
  courier_.silence(silenced);
  time_.wait_for_waiters(1);
  EXPECT_TRUE(seen_.so_far().empty());
  time_.advance(20ms);
  EXPECT_THAT(seen_.wait_for(2), ElementsAre("first", "second"));
}

TEST_F(Courier, TellsWhatIsLeftWhenItIsStopped) {
  room_.reset();
  submit("a");
  submit("b");
  // The one that waits for room is told when there is none; the other never gets to ask.
  answer(error{errc::closed, "closing"});
  courier_.stop({errc::closed, "the end"});
  submit("c");
  const auto all = seen_.wait_for(3);
  for (const auto& each : all) EXPECT_THAT(each, HasSubstr("failed: do "));
  EXPECT_EQ(all.back(), "c failed: do c: the end");
}

}  // namespace
}  // namespace levada::test
