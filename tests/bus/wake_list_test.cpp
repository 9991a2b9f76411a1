#include "bus/wake_list.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <memory>

#include "sleeping_threads.hpp"

namespace levada::test {
namespace {

using namespace std::chrono_literals;

TEST(Deadline, LiesTheTimeOutAway) {
  manual_clock time;
  time.advance(1s);
  EXPECT_EQ(deadline_after(time, 0ms), 1s);
  EXPECT_EQ(deadline_after(time, 250ms), 1250ms);
}

TEST(Deadline, IsTheEndOfTimeWhereItWouldLieBeyond) {
  manual_clock time;
  time.advance(1s);
  EXPECT_EQ(deadline_after(time, std::chrono::milliseconds::max()), clock::steady_time::max());
  const auto longest = std::chrono::duration_cast<std::chrono::milliseconds>(clock::steady_time::max());
  EXPECT_EQ(deadline_after(time, longest), clock::steady_time::max());
  EXPECT_LT(deadline_after(time, longest - 2s), clock::steady_time::max());
}

TEST(Waiter, MissesNoSignalThatCameBetweenLookingAndWaiting) {
  manual_clock time;
  waiter w;
  const auto seen = w.signals();
  w.signal();
  EXPECT_TRUE(w.wait(time, seen, clock::steady_time::max()));
  EXPECT_FALSE(w.wait(time, w.signals(), time.steady())) << "an old signal does not count twice";
}

TEST(Waiter, SleepsUntilASignal) {
  manual_clock time;
  waiter w;
  std::atomic<bool> woken{false};
  sleeping_threads threads;
  threads.start([&] { woken = w.wait(time, 0, clock::steady_time::max()); });
  time.wait_for_waiters(1);
  EXPECT_FALSE(woken);
  w.signal();
  threads.join();
  EXPECT_TRUE(woken);
}

TEST(WakeList, SignalsEveryoneOnIt) {
  wake_list list;
  list.signal();
  const auto a = std::make_shared<waiter>();
  const auto b = std::make_shared<waiter>();
  list.add(a);
  list.add(b);
  list.signal();
  EXPECT_EQ(a->signals(), 1U);
  EXPECT_EQ(b->signals(), 1U);
  list.remove(a);
  list.signal();
  EXPECT_EQ(a->signals(), 1U);
  EXPECT_EQ(b->signals(), 2U);
  list.remove(b);
  list.signal();
  EXPECT_EQ(b->signals(), 2U);
}

}  // namespace
}  // namespace levada::test
