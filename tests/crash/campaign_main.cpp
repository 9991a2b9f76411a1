// The long form of the crash tests: as many power cuts and kills as wanted.

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include <crash/arguments.hpp>
#include <crash/kill_nine.hpp>
#include <crash/power_cut.hpp>
#include <crash/processing_kill.hpp>
#include <crash/producing_kill.hpp>
#include <crash/queueing_kill.hpp>

namespace {

using namespace levada::crash;

constexpr const char* usage =
    "usage: levada_crash_campaign powercut [--history logs|queues] [--states N] [--seed N] [--operations N] "
    "[--burst-records N]\n"
    "                                      [--durability sync|checkpointed] [--planted FAULT]\n"
    "                                      [--ignore-syncs-of "
    "files|directories|segments|segment-names|checkpoints]\n"
    "                                      [--wrong-order "
    "removals-before-commits|removals-before-checkpoints|\n"
    "                                                     checkpoints-before-data]\n"
    "                                      [--keep DIR]\n"
    "       levada_crash_campaign kill9 [--history logs|queues] [--kills N] [--seed N] [--planted FAULT]\n"
    "       levada_crash_campaign processing|sharing [--kills N] [--seed N]\n"
    "       levada_crash_campaign produce [--kills N] [--seed N] [--planted fresh-id|learns-too-early]\n"
    "       levada_crash_campaign queueing [--kills N] [--seed N]\n"
    "Exits with 0 when nothing is violated. DIR/state-N/command says how to check a copy of a kept state "
    "once\n"
    "more.\n";

ignored_syncs ignored(arguments& given) {
  const auto what = given.text("--ignore-syncs-of");
  if (!what) return ignored_syncs::none;
  if (*what == "files") return ignored_syncs::of_files;
  if (*what == "directories") return ignored_syncs::of_directories;
  if (*what == "segments") return ignored_syncs::of_segments;
  if (*what == "segment-names") return ignored_syncs::of_segment_names;
  if (*what == "checkpoints") return ignored_syncs::of_checkpoints;
  throw std::invalid_argument{"no syncs can be ignored of '" + *what + "'"};
}

disorder wrong_order(arguments& given) {
  const auto what = given.text("--wrong-order");
  if (!what) return disorder::none;
  if (*what == "removals-before-commits") return disorder::removals_before_commits;
  if (*what == "removals-before-checkpoints") return disorder::removals_before_checkpoints;
  if (*what == "checkpoints-before-data") return disorder::checkpoints_before_data;
  throw std::invalid_argument{"no wrong order is named '" + *what + "'"};
}

int power_cut(arguments& given) {
  power_cut_options options;
  options.work = given.work();
  options.states = given.number("--states", 10'000);
  options.seed = given.number("--seed", options.seed);
  options.operations = given.number("--operations", options.operations);
  options.burst_records = given.number("--burst-records", options.burst_records);
  options.mode = given.mode();
  options.planted = given.planted();
  options.ignored = ignored(given);
  options.wrong_order = wrong_order(given);
  options.keep = given.text("--keep");
  given.end();
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  const auto summary = run_power_cuts(options, [](const power_cut_summary& s) {
    if (s.states % 500 != 0) return;
    std::printf("%llu states, %llu faults injected, %llu states in violation\n",
                static_cast<unsigned long long>(s.states),
                static_cast<unsigned long long>(s.injected.total()),
                static_cast<unsigned long long>(s.states_in_violation));
    std::fflush(stdout);
  });
  std::printf("%s", to_text(summary).c_str());
  if (summary.injected.total() == 0) std::printf("no fault was injected: nothing is shown\n");
  if (summary.states_in_sealing == 0)
    std::printf("no cut fell into a sealing: nothing is shown of sealings\n");
  return summary.states_in_violation == 0 && summary.injected.total() > 0 && summary.states_in_sealing > 0
             ? 0
             : 1;
}

int kill_nine(arguments& given) {
  kill_options options;
  options.work = given.work();
  options.kills = given.number("--kills", 200);
  options.seed = given.number("--seed", options.seed);
  options.planted = given.planted();
  given.end();
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  const auto summary = run_kills(options, [](const kill_summary& s) {
    if (s.kills % 20 != 0) return;
    std::printf("%llu kills, %llu in violation\n", static_cast<unsigned long long>(s.kills),
                static_cast<unsigned long long>(s.kills_in_violation));
    std::fflush(stdout);
  });
  std::printf("%s", to_text(summary).c_str());
  if (summary.segments == 0) std::printf("nothing was sealed: nothing is shown of sealings\n");
  return summary.violations.empty() && summary.kills > 0 && summary.segments > 0 ? 0 : 1;
}

int processing(arguments& given, bool shares) {
  processing_options options;
  options.shares = shares;
  options.kills = given.number("--kills", 200);
  options.seed = given.number("--seed", options.seed);
  given.end();
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  const auto summary = run_processing_kills(options, [](const processing_summary& s) {
    if ((s.kills + 1) % 20 != 0) return;
    std::printf("%llu kills\n", static_cast<unsigned long long>(s.kills + 1));
    std::fflush(stdout);
  });
  std::printf("%s", to_text(summary).c_str());
  return summary.violations.empty() && summary.kills_with_progress > 0 && summary.records_in > 0 ? 0 : 1;
}

producing_fault producing_planted(arguments& given) {
  const auto what = given.text("--planted");
  if (!what) return producing_fault::none;
  if (*what == "fresh-id") return producing_fault::fresh_id;
  if (*what == "learns-too-early") return producing_fault::learns_too_early;
  throw std::invalid_argument{"a producing host has no fault '" + *what + "'"};
}

int produce(arguments& given) {
  producing_options options;
  options.kills = given.number("--kills", 200);
  options.seed = given.number("--seed", options.seed);
  options.planted = producing_planted(given);
  given.end();
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  const auto summary = run_producing_kills(options, [](const producing_summary& s) {
    if ((s.kills + 1) % 20 != 0) return;
    std::printf("%llu kills\n", static_cast<unsigned long long>(s.kills + 1));
    std::fflush(stdout);
  });
  std::printf("%s", to_text(summary).c_str());
  return summary.violations.empty() && summary.kills_with_progress > 0 && summary.sent_again > 0 ? 0 : 1;
}

int queueing(arguments& given) {
  queueing_options options;
  options.kills = given.number("--kills", 200);
  options.seed = given.number("--seed", options.seed);
  given.end();
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  const auto summary = run_queueing_kills(options, [](const queueing_summary& s) {
    if ((s.kills + 1) % 20 != 0) return;
    std::printf("%llu kills\n", static_cast<unsigned long long>(s.kills + 1));
    std::fflush(stdout);
  });
  std::printf("%s", to_text(summary).c_str());
  return summary.violations.empty() && summary.kills_with_progress > 0 && summary.dead_letters > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    arguments given{argc, argv};
    const std::string command = given.positional("command");
    if (command == "powercut") return power_cut(given);
    if (command == "kill9") return kill_nine(given);
    if (command == "processing" || command == "sharing") return processing(given, command == "sharing");
    if (command == "produce") return produce(given);
    if (command == "queueing") return queueing(given);
    throw std::invalid_argument{"unknown command '" + command + "'"};
  } catch (const std::invalid_argument& e) {
    std::fprintf(stderr, "levada_crash_campaign: %s\n%s", e.what(), usage);
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "levada_crash_campaign: %s\n", e.what());
    return 3;
  }
}
