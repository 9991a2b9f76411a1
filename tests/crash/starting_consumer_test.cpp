// A consumer that started while a commit was under way could be handed a message of that commit unflagged,
// and again unflagged after a crash: the commit had begun before the queue had a consumer, so it did not note
// that its messages may be delivered, and the consumer had looked at the queue before the commit ended.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <levada/levada.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using test::ok;

constexpr int queues = 40;
constexpr std::chrono::microseconds head_start{15};
constexpr std::chrono::milliseconds at_once{0};

std::string queue_name(int i) {
  return fmt::format("queue-{}", i);
}

TEST(StartingConsumer, MessageOfACommitUnderWayIsFlaggedAfterACrash) {
  const test::temporary_directory directory;
  std::vector<std::string> unflagged;
  {
    bus b = ok(bus::open(directory / "store"));
    ok(b.declare_exchange("events", {.type = exchange_type::direct}));
    for (int i = 0; i < queues; ++i) {
      ok(b.declare_queue(queue_name(i)));
      ok(b.bind("events", queue_name(i), queue_name(i)));
    }
    for (int i = 0; i < queues; ++i) {
      // One message a queue: with a second one the first would be noted too.
      std::thread publisher{
          [&] { static_cast<void>(ok(b.publish("events", queue_name(i), record{"value"}))); }};
      const auto start = std::chrono::steady_clock::now() + i * head_start;
      while (std::chrono::steady_clock::now() < start) {
      }
      auto consumer = b.consume(queue_name(i));
      publisher.join();
      const auto first = ok(ok(std::move(consumer)).receive(at_once));
      ASSERT_TRUE(first);
      if (!first->redelivered()) unflagged.push_back(queue_name(i));
    }
    // What a crash leaves now: all that is committed.
    std::filesystem::copy(directory / "store", directory / "left", std::filesystem::copy_options::recursive);
  }
  ASSERT_FALSE(unflagged.empty());
  bus b = ok(bus::open(directory / "left"));
  for (const std::string& queue : unflagged) {
    auto consumer = ok(b.consume(queue));
    const auto second = ok(consumer.receive(at_once));
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->redelivered()) << queue;
  }
}

}  // namespace
}  // namespace levada::crash
