#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/wait.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>

#include "storage/lmdb.hpp"
#include "storage/store_directory.hpp"

namespace levada::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Remembers what it is warned of.
class warnings final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  /// The first warning that says so; waits for it, but not for ever.
  std::string wait_for(std::string_view what) {
    std::unique_lock lock{mutex_};
    const auto told = [&] {
      return std::find_if(told_.begin(), told_.end(),
                          [what](const auto& line) { return line.find(what) != std::string::npos; });
    };
    changed_.wait_for(lock, 10s, [&] { return told() != told_.end(); });
    return told() != told_.end() ? *told() : std::string{};
  }

 private:
  void sink_it_(const spdlog::details::log_msg& m) override {
    if (m.level != spdlog::level::warn) return;
    told_.emplace_back(m.payload.data(), m.payload.size());
    changed_.notify_all();
  }
  void flush_() override {}

  std::condition_variable_any changed_;
  std::vector<std::string> told_;
};

/// Children that hold a snapshot, as no attachment does for long, but one that is stopped or slow may.
class ReaderWatch : public bus_fixture {
 protected:
  ReaderWatch() { ok(the_bus().declare_topic("orders")); }

  [[nodiscard]] auto holding() const {
    return [this](const auto& say) {
      auto attached = ok(storage::attach_store(store(), {.map_bytes = std::size_t{1} << 30}));
      const auto snapshot = ok(storage::read_transaction::begin(attached.main.env()));
      say("holds");
      child_process::wait_for_go();
      return 0;
    };
  }
  static void stop(const child_process& child) {
    ::kill(child.pid(), SIGSTOP);
    int status = 0;
    ASSERT_EQ(::waitpid(child.pid(), &status, WUNTRACED), child.pid());
    ASSERT_TRUE(WIFSTOPPED(status));
  }
  [[nodiscard]] std::vector<reader_info> readers() { return ok(the_bus().readers()); }
};

TEST_F(ReaderWatch, NamesWhoHoldsASnapshotAndForHowLong) {
  EXPECT_THAT(readers(), IsEmpty());
  child_process child{holding()};
  ASSERT_EQ(child.read_line(), "holds");
  ASSERT_THAT(readers(), SizeIs(1));
  the_clock().advance(3s);
  ok(the_bus().publish("orders", record{"goes on"}));
  const auto seen = readers();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].pid, child.pid());
  EXPECT_EQ(seen[0].job, "");
  EXPECT_EQ(seen[0].state, reader_state::running);
  EXPECT_EQ(seen[0].held_for, 3s);
  child.go();
  EXPECT_EQ(child.wait(), 0);
  EXPECT_THAT(readers(), IsEmpty());
}

TEST_F(ReaderWatch, TellsAStoppedReaderFromARunningOneAndFreesWhatADeadOneHeld) {
  child_process child{holding()};
  ASSERT_EQ(child.read_line(), "holds");
  const pid_t pid = child.pid();
  stop(child);
  EXPECT_EQ(readers().at(0).state, reader_state::stopped);
  for (int i = 0; i < 3; ++i) ok(the_bus().publish("orders", record{"nobody waits for it"}));
  ::kill(child.pid(), SIGCONT);
  child.kill(SIGKILL);
  child.wait();
  const auto seen = readers();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].pid, pid);
  EXPECT_EQ(seen[0].state, reader_state::gone);
  EXPECT_THAT(readers(), IsEmpty()) << "it has been let go of";
}

TEST_F(ReaderWatch, KnowsWhoKeepsFreedPagesFromBeingUsedAgain) {
  close();
  bus_options o = options();
  seals_everything(o);
  open(o);
  constexpr std::uint64_t record_bytes = 10'000;
  for (int i = 0; i < 20; ++i) ok(the_bus().publish("orders", record{std::string(record_bytes, 'x')}));
  const auto entries_of = [this](space_reason why) {
    auto report = ok(the_bus().space());
    std::uint64_t sum = 0;
    for (const auto& e : report.entries) sum += e.bytes;
    EXPECT_EQ(sum, report.bytes);
    std::erase_if(report.entries, [why](const auto& e) { return e.reason != why; });
    return report.entries;
  };
  {
    child_process child{holding()};
    ASSERT_EQ(child.read_line(), "holds");
    EXPECT_THAT(entries_of(space_reason::held_snapshot), IsEmpty()) << "it is the newest";
    maintain();
    const auto held = entries_of(space_reason::held_snapshot);
    ASSERT_THAT(held, SizeIs(1));
    EXPECT_EQ(held[0].holder, std::to_string(child.pid()));
    EXPECT_GE(held[0].bytes, 20 * record_bytes);
    child.go();
    EXPECT_EQ(child.wait(), 0);
  }
  EXPECT_THAT(entries_of(space_reason::held_snapshot), IsEmpty());
  const auto free = entries_of(space_reason::free_pages);
  ASSERT_THAT(free, SizeIs(1));
  EXPECT_GE(free[0].bytes, 20 * record_bytes);
}

TEST_F(ReaderWatch, NamesTheJob) {
  child_process child{[this](const auto& say) {
    {
      const auto store_seen = ok(attachment::open(store()));
      auto reading = ok(store_seen.open_job("nightly", "orders"));
      say("made");
      child_process::wait_for_go();
    }
    return 0;
  }};
  ASSERT_EQ(child.read_line(), "made");
  stop(child);
  const auto jobs = ok(the_bus().jobs());
  ASSERT_THAT(jobs, SizeIs(1));
  EXPECT_TRUE(jobs[0].stopped);
  EXPECT_THAT(readers(), IsEmpty()) << "it holds nothing while it waits";
  ::kill(child.pid(), SIGCONT);
  child.go();
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(ReaderWatch, TellsTheLoggerWithinASecondWithoutBeingAsked) {
  close();
  const auto sink = std::make_shared<warnings>();
  bus_options o = options();
  o.maintenance = maintenance_mode::background;
  o.logger = std::make_shared<spdlog::logger>("test", sink);
  open(o);
  const auto next_told = [&](std::string_view what) {
    // The look that was under way may have come too early.
    the_clock().wait_for_waiters(1);
    the_clock().advance(1s);
    return sink->wait_for(what);
  };
  child_process child{holding()};
  ASSERT_EQ(child.read_line(), "holds");
  const std::string who = fmt::format("process {}", child.pid());
  stop(child);
  EXPECT_THAT(next_told("stopped"), HasSubstr(who));
  ::kill(child.pid(), SIGCONT);
  child.kill(SIGKILL);
  child.wait();
  EXPECT_THAT(next_told("died"), HasSubstr(who));
}

}  // namespace
}  // namespace levada::test
