#include "bus/executor_threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <thread>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

namespace levada::test {
namespace {

namespace asio = boost::asio;

TEST(ExecutorThreads, RunWhatIsPostedInAThreadOfTheirOwn) {
  executor_threads own;
  std::promise<bool> inside;
  asio::post(own.executor(), [&] { inside.set_value(own.inside()); });
  EXPECT_TRUE(inside.get_future().get());
  EXPECT_FALSE(own.inside());
}

TEST(ExecutorThreads, RunEverythingThatWasPostedBeforeTheirEnd) {
  std::atomic<int> ran{0};
  {
    executor_threads own;
    for (int i = 0; i < 100; ++i) asio::post(own.executor(), [&] { ++ran; });
  }
  EXPECT_EQ(ran, 100);
}

TEST(ExecutorThreads, RunAsManyThingsAtATimeAsThereAreThreads) {
  std::latch all{3};
  executor_threads own{3};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(own.post([&] { all.arrive_and_wait(); }));
  all.wait();
}

TEST(ExecutorThreads, DoNotWaitForTheOneThatEndsThem) {
  auto own = std::make_unique<executor_threads>();
  std::promise<void> ended;
  std::promise<void> posted;
  asio::post(own->executor(), [&] {
    posted.get_future().get();  // who posts must be through when the thread ends
    own.reset();
    ended.set_value();
  });
  posted.set_value();
  ended.get_future().get();
  EXPECT_FALSE(own);
}

TEST(ExecutorThreads, FinishWhenWhoeverPostsHasReturned) {
  executor_threads own;
  std::promise<void> ran;
  std::optional<asio::any_io_executor> busy =
      asio::prefer(own.executor(), asio::execution::outstanding_work.tracked);
  std::thread finishing{[&] { own.finish(); }};
  while (own.post([] {})) std::this_thread::yield();
  asio::post(*busy, [&] { ran.set_value(); });
  EXPECT_EQ(ran.get_future().wait_for(std::chrono::seconds{20}), std::future_status::ready);
  busy.reset();
  finishing.join();
}

TEST(ExecutorThreads, LeaveToTheSystemsExecutorWhatIsAskedOfThemAfterTheirEnd) {
  executor_threads own;
  EXPECT_TRUE(own.post([] {}));
  own.end();
  own.end();
  EXPECT_FALSE(own.post([] { FAIL() << "it has ended"; }));
  std::promise<bool> inside;
  asio::post(own.executor(), [&] { inside.set_value(own.inside()); });
  EXPECT_FALSE(inside.get_future().get());
}

}  // namespace
}  // namespace levada::test
