#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <levada/levada.hpp>

#include <crash/kill.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using std::chrono::milliseconds;
using test::ok;

constexpr std::uint32_t returns_max = 3;

/// Receives until it meets the message that kills it.
int handle_until_killed(const std::filesystem::path& store, const saying& say) {
  auto owner = ok(bus::open(store));
  auto consumer = ok(owner.consume("work"));
  while (auto d = ok(consumer.receive(milliseconds{0}))) {
    if (d->record().value() == "deadly") {
      say(std::to_string(d->delivery_count().value_or(0)));
      ::kill(::getpid(), SIGKILL);
    }
    ok(consumer.ack(*d));
  }
  return 0;
}

/// The same with a handler that is called; what is not handled when its host is killed has not been taken.
int be_called_until_killed(const std::filesystem::path& store, const saying& say) {
  auto owner = ok(bus::open(store));
  const auto consumer = ok(owner.consume("work",
                                         [&](const delivery& d) -> result<void> {
                                           if (d.record().value() == "deadly") {
                                             say(std::to_string(d.delivery_count().value_or(0)));
                                             ::kill(::getpid(), SIGKILL);
                                           }
                                           return {};
                                         },
                                         {.consumer = {.prefetch = 1}}));
  while (ok(owner.queue("work")).messages > 0) std::this_thread::yield();
  return 0;
}

/// The queue of what is to be handled, and one for what cannot be.
void declare_queues(bus& owner) {
  ok(owner.declare_queue(
      "work",
      {.dead_letter_exchange = "", .dead_letter_routing_key = "given up", .delivery_limit = returns_max}));
  ok(owner.declare_queue("given up"));
}

using handling = int(const std::filesystem::path& store, const saying& say);

/// Runs hosts until one is not killed; afterwards `given_up` are in that order what could not be handled.
void expect_limited_deaths(handling& handle, const std::vector<std::string>& given_up) {
  const test::temporary_directory directory;
  const auto store = directory / "store";
  EXPECT_EQ(run_to_end(
                "publishing",
                [&](const saying&) {
                  auto owner = ok(bus::open(store));
                  declare_queues(owner);
                  for (const char* value : {"before", "deadly", "after"})
                    static_cast<void>(ok(owner.publish("", "work", record{value})));
                  return 0;
                },
                [](const std::string&) {}),
            "");
  std::uint32_t deaths = 0;
  for (bool alive = false; !alive && deaths < 10;) {
    const std::string end = run_to_end(
        "handling", [&](const saying& say) { return handle(store, say); },
        [&](const std::string& count) { EXPECT_EQ(count, std::to_string(++deaths)); });
    alive = end.empty();
  }
  EXPECT_EQ(deaths, returns_max + 1) << "it may come back so often";
  std::vector<std::string> lines;
  EXPECT_EQ(run_to_end(
                "looking",
                [&](const saying& say) {
                  auto owner = ok(bus::open(store));
                  // What has come back too often leaves by and by.
                  while (ok(owner.queue("work")).messages > 0) std::this_thread::yield();
                  auto consumer = ok(owner.consume("given up"));
                  while (const auto d = ok(consumer.receive(milliseconds{0}))) {
                    EXPECT_EQ(deaths_of(d->record())[0].reason, dead_letter_reason::delivery_limit);
                    say(std::string{d->record().value()});
                  }
                  return 0;
                },
                [&](const std::string& line) { lines.push_back(line); }),
            "");
  EXPECT_EQ(lines, given_up);
}

TEST(AbortingHandler, MeetsItsMessageNoMoreOftenThanTheLimitAllows) {
  expect_limited_deaths(handle_until_killed, {"deadly", "after"});
}

TEST(AbortingHandler, IsCalledNoMoreOftenThanTheLimitAllows) {
  expect_limited_deaths(be_called_until_killed, {"deadly"});
}

}  // namespace
}  // namespace levada::crash
