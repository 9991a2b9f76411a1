#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include <emergency_call/event.hpp>
#include <emergency_call/records.hpp>
#include <emergency_call/sample.hpp>
#include <emergency_call/store.hpp>

#include "program.hpp"

namespace emergency {
namespace {

using levada::test::ending;
using levada::test::program;
using levada::test::temporary_directory;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class EmergencyCall : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path directory() const { return place_ / "run"; }

  static std::vector<std::string> words(std::vector<std::string> options) {
    options.insert(options.begin(), EMERGENCY_CALL_PROGRAM);
    return options;
  }
  static ending run(std::vector<std::string> options) { return levada::test::run(words(std::move(options))); }
  /// A short run whose directory stays.
  ending run_short(std::vector<std::string> more = {}) const {
    std::vector<std::string> options{"--dir", directory(), "--calls", "120", "--kills", "1"};
    options.insert(options.end(), more.begin(), more.end());
    return run(std::move(options));
  }
  [[nodiscard]] ending prove_again() const { return run({"--prove", "--dir", directory()}); }

  std::filesystem::path write(const std::string& text) const {
    auto file = place_ / "calls.csv";
    std::ofstream{file} << text;
    return file;
  }
  /// As if that had been told, too.
  void add_events(const std::vector<std::string>& events) const {
    std::ofstream out{directory() / "events", std::ios::app};
    for (const auto& e : events) out << e << '\n';
  }

 private:
  temporary_directory place_;
};

TEST_F(EmergencyCall, SurvivesKillsAndProvesIt) {
  const auto e = run({"--dir", directory(), "--calls", "150", "--kills", "2"});
  EXPECT_EQ(e.status, 0) << e.said;
  EXPECT_THAT(e.said, HasSubstr("kill -9: host 1 is dead"));
  EXPECT_THAT(e.said, HasSubstr("kill -9: host 2 is dead"));
  EXPECT_THAT(e.said, HasSubstr("150 calls in "));
  EXPECT_THAT(e.said, HasSubstr("150 acknowledged, 150 of them stored byte for byte"));
  EXPECT_THAT(e.said, HasSubstr("✓ no alert was delivered to a wrong line"));
  EXPECT_THAT(e.said, HasSubstr("✓ order per line held"));
  EXPECT_THAT(e.said, HasSubstr("2 kills; "));
  EXPECT_THAT(e.said, Not(HasSubstr("✗")));
  EXPECT_THAT(e.said, HasSubstr("PROVED: "));
  EXPECT_TRUE(std::filesystem::exists(store_in(directory())));
}

TEST_F(EmergencyCall, CountsEveryCallInOneReportOfTheAnalyst) {
  const auto e = run({"--dir", directory(), "--calls", "400", "--kills", "0", "--report-days", "1"});
  EXPECT_EQ(e.status, 0) << e.said;
  std::istringstream lines{e.said};
  std::size_t reports = 0;
  std::size_t counted = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" calls from ") == std::string::npos) continue;
    ++reports;
    counted += std::stoul(line);
  }
  EXPECT_GE(reports, 2U) << e.said;
  EXPECT_EQ(counted, 400U) << e.said;
  EXPECT_THAT(e.said, HasSubstr("from call to acceptance"));
  EXPECT_THAT(e.said, HasSubstr("calls by hour of the day"));
}

TEST_F(EmergencyCall, ReadsAFileOfCalls) {
  std::string text;
  for (const auto& c : make_sample(60, 5)) text += to_csv(c) + "\r\n";
  const auto e = run_short({"--input", write(text)});
  EXPECT_EQ(e.status, 0) << e.said;
  EXPECT_THAT(e.said, StartsWith("60 calls, read from "));
  EXPECT_THAT(e.said, HasSubstr("60 acknowledged, 60 of them"));
}

TEST_F(EmergencyCall, TakesTheRealCalls) {
  if (!std::filesystem::exists(REAL_CALLS_FILE)) GTEST_SKIP() << "there is no " << REAL_CALLS_FILE;
  const auto e = run({"--dir", directory(), "--input", REAL_CALLS_FILE, "--calls", "300"});
  EXPECT_EQ(e.status, 0) << e.said;
  EXPECT_THAT(e.said, HasSubstr("300 acknowledged, 300 of them"));
}

TEST_F(EmergencyCall, RefusesAMalformedFileBeforeItBegins) {
  const auto file = write("40,-75,EMS: FALL VICTIM,2016-01-15 12:01,AREA,ROAD\n40,-75,EMS: FALL VICTIM\n");
  const auto e = run_short({"--input", file});
  EXPECT_EQ(e.status, 1);
  EXPECT_EQ(e.said, "emergency_call: " + file.native() + ", line 2: 6 fields expected, 3 found\n");
  EXPECT_FALSE(std::filesystem::exists(directory()));
}

TEST_F(EmergencyCall, KeepsThePaceThatIsAskedFor) {
  // Four minutes of the calls' clock; twenty of them pass in a second.
  std::string text;
  for (int minute = 0; minute < 5; ++minute) {
    text += "40,-75,EMS: FALL VICTIM,2016-01-15 12:0" + std::to_string(minute) + ",AREA,ROAD\n";
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto e = run_short({"--input", write(text), "--speed", "1200x"});
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds{200});
  EXPECT_EQ(e.status, 0) << e.said;
}

TEST_F(EmergencyCall, EndsInOrderWhenInterrupted) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto place = directory() / std::to_string(signal);
    program p{words({"--dir", place, "--speed", "1x"})};
    p.wait_for("made up");
    p.signal(signal);
    const auto e = p.wait();
    EXPECT_EQ(e.status, 130) << e.said;
    EXPECT_THAT(e.said, HasSubstr("interrupted: "));
    EXPECT_THAT(e.said, HasSubstr("PROVED: "));
  }
}

TEST_F(EmergencyCall, TouchesNoEarlierRun) {
  EXPECT_EQ(run_short().status, 0);
  const auto again = run_short();
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.said, HasSubstr("exists already"));
  EXPECT_EQ(prove_again().status, 0);
}

TEST_F(EmergencyCall, FailsWhenAnAcknowledgedCallIsNotInTheStore) {
  ASSERT_EQ(run_short().status, 0);
  add_events(
      {"called 121 40,-75,EMS: FALL VICTIM,2024-03-01 12:00,OLD TOWN,MILL ROAD 1", "acknowledged 121 new"});
  const auto e = prove_again();
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, HasSubstr("✗ no acknowledged call was lost"));
  EXPECT_THAT(e.said,
              HasSubstr("call 121 from old-town.mill-road-1.main was acknowledged and is not stored"));
  EXPECT_THAT(e.said, HasSubstr("NOT PROVED"));
}

TEST_F(EmergencyCall, FailsWhenAnAlertWentToAWrongLine) {
  ASSERT_EQ(run_short().status, 0);
  add_events({"joined 1000 elsewhere.#", "delivered 1000 120"});
  const auto e = prove_again();
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, HasSubstr("✗ no alert was delivered to a wrong line"));
  EXPECT_THAT(e.said, HasSubstr("to subscriber 1000 for elsewhere.#"));
}

TEST_F(EmergencyCall, FailsWhenTheOrderOfALineBroke) {
  ASSERT_EQ(run_short().status, 0);
  std::map<std::string, call_id> earlier;
  for (const auto& c : make_sample(120, 1)) {
    const auto [known, is_new] = earlier.emplace(c.line().key(), c.id);
    if (is_new) continue;
    add_events({"joined 1000 " + known->first, to_text(alert_delivered{1000, c.id}),
                to_text(alert_delivered{1000, known->second})});
    break;
  }
  const auto e = prove_again();
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, HasSubstr("✗ order per line held"));
  EXPECT_THAT(e.said, HasSubstr("delivered late: "));
}

TEST_F(EmergencyCall, FailsWhenTheStoreHoldsACallTwice) {
  ASSERT_EQ(run_short().status, 0);
  {
    auto bus = open_store(directory());
    const auto c = make_sample(120, 1).back();
    EXPECT_THAT(bus.publish(names::alerts, to_record(c)), levada::test::succeeds());
  }
  const auto e = prove_again();
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, HasSubstr("call 120 is stored 2 times"));
  EXPECT_THAT(e.said, HasSubstr("the notifier has not committed 1 alerts"));
}

TEST_F(EmergencyCall, NamesTheLineOfEventsThatItCannotRead) {
  ASSERT_EQ(run_short().status, 0);
  std::ofstream{directory() / "events"} << "started\nnonsense\n";
  const auto e = prove_again();
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, HasSubstr("events, line 2: 'nonsense' is not an event"));
}

TEST_F(EmergencyCall, ExplainsItself) {
  const auto e = run({"--help"});
  EXPECT_EQ(e.status, 0);
  EXPECT_THAT(e.said, StartsWith("usage: emergency_call "));
  for (const auto* option : {"--dir", "--input", "--calls", "--seed", "--speed", "--kills", "--report-days",
                             "--prove", "--host"}) {
    EXPECT_THAT(e.said, HasSubstr(option));
  }
}

TEST_F(EmergencyCall, RefusesWrongUsage) {
  const std::map<std::string, std::vector<std::string>> cases{
      {"'--nonsense' is not an option", {"--nonsense"}},
      {"'stray' is not an option", {"stray"}},
      {"--dir: a value is missing", {"--dir"}},
      {"--calls: '0' is not a whole number from 1 to", {"--calls", "0"}},
      {"--kills: '-1' is not a whole number from 0 to", {"--kills", "-1"}},
      {"--seed: 'x' is not a whole number", {"--seed=x"}},
      {"--speed: 'fast' is not a speed", {"--speed", "fast"}},
      {"--input: the path is empty", {"--input", ""}},
      {"--prove and --host need --dir", {"--prove"}},
  };
  for (const auto& [text, options] : cases) {
    const auto e = run(options);
    EXPECT_EQ(e.status, 2) << text;
    EXPECT_THAT(e.said, StartsWith("emergency_call: " + text));
  }
  const auto e = run({"--calls", "3", "--kills", "3"});
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, HasSubstr("3 kills are too many for 3 calls"));
}

TEST_F(EmergencyCall, SaysWhyTheHostCannotWork) {
  ASSERT_EQ(run_short().status, 0);
  const auto owner = open_store(directory());
  const auto e = run({"--host", "--dir", directory()});
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, HasSubstr("pid " + std::to_string(::getpid())));
}

}  // namespace
}  // namespace emergency
