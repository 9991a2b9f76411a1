#include "bus/worker.hpp"

#include <future>
#include <new>
#include <stdexcept>
#include <utility>

#include <bus/sleeping_threads.hpp>
#include <support/result_testing.hpp>

namespace levada::test {
namespace {

using namespace std::chrono_literals;

/// A worker whose runs end as the test says, and which is due when the test says.
class Worker : public ::testing::Test {
 protected:
  worker::task task() {
    return {.name = "work",
            .due = [this] { return due_.load(); },
            .run = [this]() -> result<void> {
              ++runs_;
              if (once_) due_ = clock::steady_time::max();
              return outcome_ ? outcome_() : result<void>{};
            },
            .failed = [this](const error& e) { failures_.push_back(e.message()); },
            .retry = 10s};
  }

  manual_clock clock_;
  std::atomic<clock::steady_time> due_{clock::steady_time::max()};
  bool once_ = true;
  std::function<result<void>()> outcome_;
  std::atomic<int> runs_{0};
  std::vector<std::string> failures_;
};

TEST_F(Worker, RunsWhenItIsDueAndNotBefore) {
  due_ = clock_.steady() + 5s;
  worker w{clock_, task()};
  w.start();
  clock_.wait_for_waiters(1);
  clock_.advance(4s);
  EXPECT_EQ(runs_, 0);
  clock_.advance(1s);
  while (runs_ == 0) std::this_thread::yield();
  clock_.wait_for_waiters(1);
  EXPECT_EQ(runs_, 1);
}

TEST_F(Worker, LooksAgainWhenItIsWoken) {
  worker w{clock_, task()};
  w.start();
  clock_.wait_for_waiters(1);
  due_ = clock::steady_time::min();
  w.wake();
  while (runs_ == 0) std::this_thread::yield();
  EXPECT_EQ(runs_, 1);
}

TEST_F(Worker, LeavesAFailureAloneForAWhile) {
  once_ = false;
  outcome_ = [] { return error{errc::disk_full, "no room"}; };
  due_ = clock::steady_time::min();
  worker w{clock_, task()};
  w.start();
  clock_.wait_for_waiters(1);
  EXPECT_EQ(runs_, 1);
  clock_.advance(10s);
  while (runs_ < 2) std::this_thread::yield();
  clock_.wait_for_waiters(1);
  w.wake();
  while (runs_ < 3) std::this_thread::yield();
  w.stop();
  EXPECT_THAT(failures_, ::testing::Each("no room"));
}

TEST_F(Worker, SurvivesWhatItsTaskThrows) {
  int round = 0;
  outcome_ = [&]() -> result<void> {
    if (round++ == 0) throw std::bad_alloc{};
    throw std::runtime_error{"thrown"};
  };
  worker w{clock_, task()};
  EXPECT_THAT(w.wait_for_run([] { return false; }), fails_with(errc::out_of_resources));
  EXPECT_THAT(w.wait_for_run([] { return false; }), fails_with(errc::io_error));
}

TEST_F(Worker, TellsWhoWaitsHowTheRunEnded) {
  worker w{clock_, task()};
  EXPECT_THAT(w.wait_for_run([] { return false; }), succeeds());
  EXPECT_EQ(runs_, 1);
  EXPECT_THAT(w.wait_for_run([] { return true; }), succeeds()) << "enough without a run";
}

TEST_F(Worker, LetsWhoWaitsGoWhenItStopsAndNeverStartsAgain) {
  worker w{clock_, task()};
  outcome_ = [&]() -> result<void> {
    while (!w.stopping()) std::this_thread::yield();
    return {};
  };
  sleeping_threads threads;
  result<void> outcome{};
  threads.start([&] { outcome = w.wait_for_run([] { return false; }); });
  threads.wait_until_asleep();
  w.stop();
  threads.join();
  EXPECT_THAT(outcome, fails_with(errc::closed));
  const int runs = runs_;
  due_ = clock::steady_time::min();
  w.start();
  w.ask();
  EXPECT_THAT(w.wait_for_run([] { return false; }), fails_with(errc::closed));
  EXPECT_EQ(runs_, runs);
}

TEST_F(Worker, RunsOnceMoreForWhoAsksDuringARun) {
  std::atomic<bool> go_on{false};
  std::atomic<int> under_way{0};
  outcome_ = [&]() -> result<void> {
    ++under_way;
    while (!go_on) std::this_thread::yield();
    return {};
  };
  worker w{clock_, task()};
  w.start();
  w.ask();
  while (under_way == 0) std::this_thread::yield();
  w.ask();
  go_on = true;
  while (runs_ < 2) std::this_thread::yield();
  clock_.wait_for_waiters(1);
  EXPECT_EQ(runs_, 2);
}

TEST_F(Worker, LetsWhoWaitsGoBeforeARunEndsOnceThereIsEnough) {
  std::atomic<bool> go_on{false};
  std::atomic<bool> room{false};
  std::atomic<bool> finish{false};
  worker w{clock_, task()};
  sleeping_threads threads;
  outcome_ = [&]() -> result<void> {
    while (!go_on) std::this_thread::yield();
    room = true;
    w.tell_waiters();
    while (!finish) std::this_thread::yield();
    return {};
  };
  result<void> outcome{error{errc::closed, "not back yet"}};
  threads.start([&] { outcome = w.wait_for_run([&] { return room.load(); }); });
  threads.wait_until_asleep();
  go_on = true;
  threads.join();  // would not end otherwise, as the run does not
  EXPECT_THAT(outcome, succeeds());
  finish = true;
}

TEST_F(Worker, PausesUntilItIsEnoughHoweverOftenItIsWoken) {
  std::atomic<int> looks{0};
  std::atomic<bool> enough{false};
  worker w{clock_, task()};
  outcome_ = [&]() -> result<void> {
    w.ask();  // what was asked before the pause does not end it
    w.pause(1h, [&] {
      ++looks;
      return enough.load();
    });
    return {};
  };
  w.start();
  w.ask();
  while (looks < 1) std::this_thread::yield();
  w.ask();
  while (looks < 2) std::this_thread::yield();
  EXPECT_EQ(runs_, 1);
  enough = true;
  w.ask();
  while (runs_ < 2) std::this_thread::yield();
}

TEST_F(Worker, PausesNoLongerThanItRuns) {
  worker w{clock_, task()};
  std::atomic<bool> pausing{false};
  outcome_ = [&]() -> result<void> {
    w.pause(1h, [&] {
      pausing = true;
      return false;
    });
    return {};
  };
  w.start();
  w.ask();
  while (!pausing) std::this_thread::yield();
  w.stop();
  EXPECT_EQ(runs_, 1);
}

}  // namespace
}  // namespace levada::test
