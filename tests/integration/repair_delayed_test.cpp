#include <spdlog/logger.h>
#include <spdlog/sinks/ringbuffer_sink.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include "damaged_store.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr milliseconds in_a_while{20'000};

/// The one value of this place.
auto only(std::size_t place) {
  return [place](std::size_t) { return std::vector<std::size_t>{place}; };
}
void flip_a_bit(std::string& value) {
  value[2] = static_cast<char>(value[2] ^ 4);
}

/// A store with messages "0" to "4" in the exchange "e", due by ten seconds each; "q" is bound to it.
class RepairingDelayed : public ::testing::Test {
 protected:
  RepairingDelayed() {
    auto owner = open();
    ok(owner.declare_exchange("e", {.type = exchange_type::fanout, .retention = {}}));
    ok(owner.declare_queue("q"));
    ok(owner.bind("e", "q", ""));
    for (int i = 0; i < 5; ++i) {
      ok(owner.publish("e", "", record{std::to_string(i)}, {.delay = seconds{10 * (i + 1)}}));
      if (i == 1) ok(owner.maintain());
    }
    ok(owner.close());
  }
  [[nodiscard]] fs::path store() const { return directory_ / "store"; }
  [[nodiscard]] bus open(std::shared_ptr<spdlog::logger> logger = nullptr) const {
    auto o = sealing_options();
    o.clock = clock_;
    o.logger = std::move(logger);
    return ok(bus::open(store(), o));
  }
  [[nodiscard]] std::vector<store_problem> problems() const { return ok(check_store(store())).problems; }
  /// Foretells what it does, does it, and leaves a sound store.
  [[nodiscard]] repair_report repair() const {
    const auto foreseen = ok(repair_store(store(), {.dry_run = true}));
    auto report = ok(repair_store(store()));
    EXPECT_EQ(foreseen.delayed, report.delayed);
    EXPECT_THAT(problems(), IsEmpty());
    EXPECT_TRUE(ok(repair_store(store())).sound());
    return report;
  }
  [[nodiscard]] std::size_t records_in_log() const {
    const auto owner = open();
    auto pass = ok(owner.replay("e", {.until = until_latest{}}));
    std::size_t records = 0;
    for (auto batch = ok(pass.next()); !batch.empty(); batch = ok(pass.next())) records += batch.size();
    return records;
  }
  /// What comes to the queue as time goes on; a last message is published after the repair.
  [[nodiscard]] std::vector<std::string> what_comes() const {
    auto owner = open();
    ok(owner.publish("e", "", record{"last"}, {.delay = seconds{100}}));
    auto consumer = ok(owner.consume("q"));
    clock_->advance(seconds{100});
    std::vector<std::string> values;
    while (values.empty() || values.back() != "last") {
      const auto d = ok(consumer.receive(in_a_while));
      if (!d) break;
      values.emplace_back(d->record().value());
      ok(consumer.ack(*d));
    }
    EXPECT_EQ(ok(owner.stats()).queues.delayed, 0U);
    return values;
  }
  [[nodiscard]] manual_clock& the_clock() const { return *clock_; }

 private:
  temporary_directory directory_;
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
};

TEST_F(RepairingDelayed, LeavesASoundStoreAsItIs) {
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_TRUE(repair().sound());
  EXPECT_THAT(what_comes(), ElementsAre("0", "1", "2", "3", "4", "last"));
}

TEST_F(RepairingDelayed, DropsARowOfTheScheduleThatCannotBeBelieved) {
  change_values(store(), table::schedule, only(2), flip_a_bit);
  ASSERT_EQ(problems().size(), 1U);
  EXPECT_EQ(problems()[0].where, "schedule");
  const auto report = repair();
  EXPECT_EQ(report.delayed, 1U);
  EXPECT_FALSE(report.sound());
  EXPECT_THAT(report.records, IsEmpty());
  EXPECT_THAT(report.messages, IsEmpty());
  EXPECT_EQ(report.rows, 0U);
  EXPECT_EQ(records_in_log(), 5U) << "the message stays in the log";
  EXPECT_THAT(what_comes(), ElementsAre("0", "1", "3", "4", "last"));
}

TEST_F(RepairingDelayed, ChangesNothingWhereItOnlyLooks) {
  change_values(store(), table::schedule, only(4), flip_a_bit);
  const auto before = bytes_of(store());
  EXPECT_EQ(ok(repair_store(store(), {.dry_run = true})).delayed, 1U);
  EXPECT_EQ(problems().size(), 1U);
  EXPECT_EQ(bytes_of(store()).at((store() / "main" / "data.mdb").string()),
            before.at((store() / "main" / "data.mdb").string()));
}

TEST_F(RepairingDelayed, DropsThoseWhoseRecordsAreLostInTheJournal) {
  // "2", "3" and "4" stand there.
  erase_rows(store(), only(1));
  EXPECT_FALSE(problems().empty());
  const auto report = repair();
  EXPECT_EQ(report.delayed, 1U);
  ASSERT_EQ(report.records.size(), 1U);
  EXPECT_EQ(report.records[0].first, offset{3});
  EXPECT_THAT(what_comes(), ElementsAre("0", "1", "2", "4", "last"));
}

TEST_F(RepairingDelayed, DropsThoseWhoseRecordsAreLostWithASegment) {
  fs::remove(segments_of(store()).at(0));
  const auto report = repair();
  EXPECT_EQ(report.delayed, 2U);
  EXPECT_EQ(report.segments, 1U);
  EXPECT_THAT(what_comes(), ElementsAre("2", "3", "4", "last"));
}

TEST_F(RepairingDelayed, NeverGivesOffsetsAgainThatTheScheduleKnows) {
  erase_rows(store(), [](std::size_t count) {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(i);
    return all;
  });
  EXPECT_EQ(repair().delayed, 3U);
  auto owner = open();
  EXPECT_EQ(ok(owner.publish("e", "", record{"next"})).offset, offset{5});
}

TEST_F(RepairingDelayed, IsNotNeededToOpenAStoreWithADamagedRowAndToUseTheRest) {
  change_values(store(), table::schedule, only(0), flip_a_bit);
  {
    auto owner = open();
    EXPECT_THAT(owner.delayed(10), fails_with(errc::damaged));
    EXPECT_EQ(ok(owner.publish("e", "", record{"now"})).routed, 1U);
    const auto later = ok(owner.publish("e", "", record{"later"}, {.delay = seconds{50}}));
    EXPECT_TRUE(ok(owner.cancel(later)));
    ok(owner.publish("e", "", record{"5"}, {.delay = seconds{60}}));
    the_clock().advance(seconds{10});
    EXPECT_EQ(ok(ok(owner.consume("q")).receive(in_a_while)).value().record().value(), "now");
    ok(owner.close());
  }
  EXPECT_EQ(repair().delayed, 1U);
  EXPECT_THAT(what_comes(), ElementsAre("now", "1", "2", "3", "4", "5", "last"));
}

TEST_F(RepairingDelayed, IsAskedForOnceHoweverOftenRoutingFails) {
  change_values(store(), table::schedule, only(0), flip_a_bit);
  const auto told = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(100);
  auto owner = open(std::make_shared<spdlog::logger>("told", told));
  const auto warnings = [&] {
    const auto all = told->last_raw();
    return std::count_if(all.begin(), all.end(),
                         [](const auto& m) { return m.level == spdlog::level::warn; });
  };
  for (int tries = 0; tries < 20; ++tries) {
    the_clock().wait_for_waiters(1);
    the_clock().advance(seconds{10});
  }
  while (warnings() == 0) std::this_thread::yield();
  ok(owner.close());
  EXPECT_EQ(warnings(), 1);
}

}  // namespace
}  // namespace levada::test
