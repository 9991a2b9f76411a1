// What a bus tells its logger, and at which level.

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/bus_fixture.hpp>

#include "full_disk_fixture.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
namespace level = spdlog::level;

using line = std::pair<level::level_enum, std::string>;

/// Remembers everything.
class memory_sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  /// What has come since it was last asked.
  [[nodiscard]] std::vector<line> take() {
    const std::lock_guard guard{mutex_};
    return std::exchange(lines_, {});
  }

 private:
  void sink_it_(const spdlog::details::log_msg& m) override {
    lines_.emplace_back(m.level, std::string{m.payload.data(), m.payload.size()});
  }
  void flush_() override {}

  std::vector<line> lines_;
};

std::shared_ptr<spdlog::logger> logger_to(const std::shared_ptr<memory_sink>& sink) {
  auto logger = std::make_shared<spdlog::logger>("test", sink);
  logger->set_level(level::trace);
  return logger;
}

class Logging : public bus_fixture {
 protected:
  Logging() : bus_fixture{seals_everything} {
    close();
    open(logged());
  }
  [[nodiscard]] bus_options logged() const {
    bus_options o = options();
    o.logger = logger_to(sink_);
    return o;
  }
  [[nodiscard]] bus_options with_checkpoints(const std::string& boot) const {
    bus_options o = logged();
    o.durability = checkpointed{std::chrono::hours{1}};
    o.boot_id = boot;
    return o;
  }
  [[nodiscard]] std::vector<line> told() { return sink_->take(); }

 private:
  std::shared_ptr<memory_sink> sink_ = std::make_shared<memory_sink>();
};

TEST_F(Logging, TellsOfOpeningAndOfClosingWithTotals) {
  EXPECT_THAT(told(), ElementsAre(Pair(level::info, HasSubstr("opened"))));
  auto orders = ok(the_bus().declare_topic("orders"));
  for (int i = 0; i < 3; ++i) ok(orders.publish(record{"x"}));
  static_cast<void>(told());
  close();
  EXPECT_THAT(told(), ElementsAre(Pair(level::info, AllOf(HasSubstr("closed"), HasSubstr("4 commits"),
                                                          HasSubstr("3 records appended")))));
}

TEST_F(Logging, SaysNothingOfRecordsAndCalls) {
  auto orders = ok(the_bus().declare_topic("orders"));
  ok(the_bus().declare_exchange("events"));
  ok(the_bus().declare_queue("work"));
  ok(the_bus().bind("events", "work", "#"));
  auto accounts = ok(the_bus().declare_table("accounts"));
  auto reader = join("g", {"orders"});
  auto worker = ok(the_bus().consume("work"));
  static_cast<void>(told());
  for (int i = 0; i < 1'000; ++i) {
    ok(orders.publish(record{"x"}));
    EXPECT_EQ(poll_all(reader).size(), 1U);
  }
  ok(reader.commit());
  for (int i = 0; i < 50; ++i) {
    ok(the_bus().publish("events", "job", record{"x"}));
    ok(worker.ack(ok(worker.receive(at_once))->tag()));
    ok(the_bus().transact([&](transaction& t) { return t.put(accounts, i, "x"); }));
    EXPECT_THAT(the_bus().publish("nowhere", record{"x"}), fails_with(errc::unknown_topic));
  }
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(Logging, TellsOfRebalancesForDebuggingAndWarnsOfFencedMembers) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
  for (int i = 0; i < 6; ++i) ok(orders.publish(record{"x"}));
  static_cast<void>(told());
  consumer_options named;
  named.reset = offset_reset::earliest;
  named.member_id = "sleeper";
  auto hanging = ok(the_bus().join("g", {"orders"}, named));
  EXPECT_THAT(told(), ElementsAre(Pair(level::debug, HasSubstr("group 'g' has 1 members"))));
  EXPECT_EQ(poll_all(hanging).size(), 6U);
  auto waiting = join("g", {"orders"});
  EXPECT_THAT(told(), ElementsAre(Pair(level::debug, HasSubstr("group 'g' has 2 members"))));
  the_clock().advance(seconds{60});
  ok(waiting.poll(at_once));
  EXPECT_THAT(told(), ElementsAre(Pair(level::warn, AllOf(HasSubstr("group 'g'"), HasSubstr("sleeper"),
                                                          HasSubstr("6 records"))),
                                  Pair(level::debug, HasSubstr("group 'g' has 1 members"))));
}

TEST_F(Logging, TellsOfUpkeepForDebugging) {
  auto orders = ok(the_bus().declare_topic("orders"));
  static_cast<void>(told());
  for (int i = 0; i < 8; ++i) {
    ok(orders.publish(record{"x"}));
    if (i < 7) {
      maintain();
      EXPECT_THAT(told(), ElementsAre(Pair(level::debug, HasSubstr("sealed rows"))));
    }
  }
  maintain();
  EXPECT_THAT(told(), ElementsAre(Pair(level::debug, HasSubstr("sealed rows")),
                                  Pair(level::debug, HasSubstr("wrote 8 segments"))));
  ok(orders.publish(record{"x"}));
  ok(the_bus().set_retention("orders", {.records = 1}));
  maintain();
  EXPECT_THAT(told(), ElementsAre(Pair(level::debug,
                                       AllOf(HasSubstr("retention: 1 topics"), HasSubstr("1 segments went"))),
                                  Pair(level::debug, HasSubstr("sealed rows"))));
  maintain();
  EXPECT_THAT(told(), IsEmpty());
  ok(the_bus().delete_topic("orders"));
  EXPECT_THAT(told(), ElementsAre(Pair(level::debug, HasSubstr("topic 'orders'"))));
}

TEST_F(Logging, WarnsOnceOfUpkeepThatFailsAndTellsWhenItGoesOn) {
  auto orders = ok(the_bus().declare_topic("orders"));
  ok(orders.publish(record{"x"}));
  const auto aside = store().parent_path() / "aside";
  static_cast<void>(told());
  for (int round = 0; round < 2; ++round) {
    fs::rename(store() / "segments", aside);
    EXPECT_FALSE(the_bus().maintain());
    EXPECT_THAT(told(), ElementsAre(Pair(level::warn, HasSubstr("segments"))));
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(the_bus().maintain());
    EXPECT_THAT(told(), IsEmpty());
    fs::rename(aside, store() / "segments");
    maintain();
    EXPECT_THAT(told(), ElementsAre(Pair(level::debug, HasSubstr("sealed rows")),
                                    Pair(level::info, HasSubstr("upkeep"))));
    maintain();
    EXPECT_THAT(told(), IsEmpty());
    ok(orders.publish(record{"x"}));
  }
}

TEST_F(Logging, WarnsOfAStoreThatWentBackToACheckpoint) {
  close();
  open(with_checkpoints("first boot"));
  ok(the_bus().declare_topic("orders"));
  ok(the_bus().sync());
  ok(the_bus().publish("orders", record{"lost"}));
  const auto copy = store().parent_path() / "copy";
  fs::copy(store(), copy, fs::copy_options::recursive);
  fs::permissions(copy, fs::perms::owner_all);
  static_cast<void>(told());
  const auto again = ok(bus::open(copy, with_checkpoints("second boot")));
  EXPECT_THAT(told(), ElementsAre(Pair(level::warn, HasSubstr("back at its last checkpoint")),
                                  Pair(level::info, HasSubstr("opened"))));
}

class LoggingOnADisk : public full_disk_fixture {};

TEST_F(LoggingOnADisk, WarnsOnceOfCheckpointsThatFailAndTellsWhenTheyGoOn) {
  under_a_limit([](scarce_disk& disk) {
    const auto sink = std::make_shared<memory_sink>();
    const auto time = std::make_shared<manual_clock>();
    bus_options o;
    o.durability = checkpointed{seconds{10}};
    o.maintenance = maintenance_mode::on_call;
    o.clock = time;
    o.logger = logger_to(sink);
    auto b = ok(bus::open(disk.path() / "store", o));
    auto orders = ok(b.declare_topic("orders"));
    const auto told_in_time = [&] {
      std::vector<line> told;
      while (told.empty()) {
        time->advance(seconds{10});
        std::this_thread::yield();
        told = sink->take();
      }
      return told;
    };
    static_cast<void>(sink->take());
    disk.leave(0);
    EXPECT_THAT(told_in_time(), ElementsAre(Pair(level::warn, HasSubstr("checkpoint"))));
    for (int i = 0; i < 10; ++i) {
      time->wait_for_waiters(1);
      time->advance(seconds{10});
    }
    EXPECT_THAT(sink->take(), IsEmpty()) << "it was tried again meanwhile";
    disk.give_back();
    EXPECT_THAT(told_in_time(), ElementsAre(Pair(level::info, HasSubstr("checkpoints"))));
    EXPECT_TRUE(b.health().writable);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

TEST_F(LoggingOnADisk, WarnsOnceOfASubscriptionsCommitsThatFailAndTellsWhenTheyGoOn) {
  under_a_limit([](scarce_disk& disk) {
    const auto sink = std::make_shared<memory_sink>();
    const auto time = std::make_shared<manual_clock>();
    bus_options o;
    o.maintenance = maintenance_mode::on_call;
    o.clock = time;
    o.logger = logger_to(sink);
    auto b = ok(bus::open(disk.path() / "store", o));
    ok(b.declare_topic("orders"));
    ok(b.publish("orders", record{"x"}));
    std::latch full{1};
    std::atomic<int> failures = 0;
    subscription_options how;
    how.consumer.reset = offset_reset::earliest;
    how.commit_interval = std::chrono::milliseconds{0};
    how.on_failure = [&](const error& why) {
      EXPECT_EQ(why, errc::disk_full);
      ++failures;
    };
    auto s = ok(b.subscribe(
        "g", {"orders"},
        [&](const record_view&) -> result<void> {
          full.wait();
          return {};
        },
        how));
    static_cast<void>(sink->take());
    disk.leave(0);
    full.count_down();
    while (failures < 4) {
      time->advance(seconds{1});
      std::this_thread::yield();
    }
    EXPECT_THAT(sink->take(),
                ElementsAre(Pair(level::warn, AllOf(HasSubstr("commit as"), HasSubstr("group 'g'")))))
        << "the host is told each time";
    disk.give_back();
    while (ok(b.groups()).at(0).partitions.at(0).committed != offset{1}) {
      time->advance(seconds{1});
      std::this_thread::yield();
    }
    s.close();
    const auto told = sink->take();
    EXPECT_THAT(told, ElementsAre(Pair(level::info, HasSubstr("committing for group 'g' goes on again")),
                                  Pair(level::debug, HasSubstr("group 'g' has 0 members"))));
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

}  // namespace
}  // namespace levada::test
