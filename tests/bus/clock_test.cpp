#include <levada/clock.hpp>

#include <atomic>
#include <memory>
#include <mutex>

#include <gtest/gtest.h>

#include "bus/wake_list.hpp"
#include "sleeping_threads.hpp"

namespace levada::test {
namespace {

using namespace std::chrono_literals;

TEST(ManualClock, MovesOnlyWhenTold) {
  manual_clock time{timestamp{5s}};
  EXPECT_EQ(time.wall(), timestamp{5s});
  EXPECT_EQ(time.steady(), 0ns);
  time.advance(3us);
  EXPECT_EQ(time.wall(), timestamp{5s + 3us});
  EXPECT_EQ(time.steady(), 3us);
  time.set_wall(timestamp{1s});
  EXPECT_EQ(time.wall(), timestamp{1s});
  EXPECT_EQ(time.steady(), 3us) << "steady time never jumps";
}

TEST(ManualClock, WakesWhoeverItsTimeHasComeFor) {
  manual_clock time;
  waiter early;
  waiter late;
  std::atomic<int> early_done{0};
  std::atomic<int> late_done{0};
  sleeping_threads threads;
  threads.start([&] { early_done = early.wait(time, 0, 10ms) ? 2 : 1; });
  threads.start([&] { late_done = late.wait(time, 0, 20ms) ? 2 : 1; });
  time.wait_for_waiters(2);
  time.advance(9999us);
  threads.wait_until_asleep();
  EXPECT_EQ(early_done, 0);
  time.advance(1us);
  while (early_done == 0) std::this_thread::yield();
  threads.wait_until_asleep();
  EXPECT_EQ(early_done, 1) << "no signal came";
  EXPECT_EQ(late_done, 0);
  time.advance(1s);
  threads.join();
  EXPECT_EQ(late_done, 1);
}

TEST(ManualClock, DoesNotWaitForATimeThatIsPast) {
  manual_clock time;
  time.advance(10ms);
  const auto point = std::make_shared<wait_point>();
  std::unique_lock lock{point->mutex};
  time.wait_until(point, lock, 10ms);
  EXPECT_TRUE(lock.owns_lock());
}

TEST(SystemClock, GoesOnByItself) {
  const auto time = clock::system();
  const auto wall = std::chrono::system_clock::now();
  EXPECT_LT(time->wall() - wall, 1h);
  EXPECT_GT(time->wall() - wall, -1h);
  const auto before = time->steady();
  const auto point = std::make_shared<wait_point>();
  std::unique_lock lock{point->mutex};
  while (time->steady() < before + 2ms) time->wait_until(point, lock, before + 2ms);
  EXPECT_TRUE(lock.owns_lock());
}

}  // namespace
}  // namespace levada::test
