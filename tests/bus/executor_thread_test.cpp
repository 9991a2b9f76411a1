#include "bus/executor_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include <boost/asio/post.hpp>

namespace levada::test {
namespace {

namespace asio = boost::asio;

TEST(ExecutorThread, RunsWhatIsPostedInOneThreadOfItsOwn) {
  executor_thread own;
  std::promise<bool> inside;
  asio::post(own.executor(), [&] { inside.set_value(own.inside()); });
  EXPECT_TRUE(inside.get_future().get());
  EXPECT_FALSE(own.inside());
}

TEST(ExecutorThread, RunsEverythingThatWasPostedBeforeItsEnd) {
  std::atomic<int> ran{0};
  {
    executor_thread own;
    for (int i = 0; i < 100; ++i) asio::post(own.executor(), [&] { ++ran; });
  }
  EXPECT_EQ(ran, 100);
}

TEST(ExecutorThread, DoesNotWaitForItselfWhenItEndsItself) {
  auto own = std::make_unique<executor_thread>();
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

TEST(ExecutorThread, LeavesToTheSystemsExecutorWhatIsAskedOfItAfterItsEnd) {
  executor_thread own;
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
