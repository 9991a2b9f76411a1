#include "options.hpp"

#include <array>
#include <string>

#include <fmt/core.h>
#include <getopt.h>

#include <common/command_line.hpp>
#include <common/failure.hpp>

namespace emergency {

const std::string_view usage =
    R"(usage: emergency_call [option]...

Runs the system of an apartment safety service on a levada bus. The application is a child process; it is
killed in mid-stream and started again. In the end everything is counted, to prove that no acknowledged call
was lost, none was delivered to a wrong line, and the order of each line's calls held.

  --dir DIR        keep store and events in DIR, which must not hold any yet; default: a temporary
                   directory, removed at the end
  --input FILE     read the calls from a CSV file: latitude, longitude, "CATEGORY: TYPE",
                   YYYY-MM-DD HH:MM, township, address; default: make them up
  --calls N        how many calls; default: all of the file, or 2,000 made up
  --seed N         choose other made-up calls and other moments to kill; default: 1
  --speed Nx       let N seconds of the calls' clock pass in a second, such as 3600x; default: as fast as
                   it goes
  --kills N        how often to kill the application; default: 3
  --report-days N  run the analyst's job every N days of the calls' clock and at the end, 0 for never;
                   default: half of the days that the calls span
  --prove          prove again what an earlier run has left in DIR
  --host           be the application: store in DIR, calls as events on standard input
  --help           show this

Exit status: 0 proved, 1 not proved or failed, 2 wrong usage, 130 proved after an interruption.
)";

namespace {

enum letter : int { dir = 1, input, calls, seed, speed, kills, report_days, prove, host, help };

constexpr std::array letters{
    option{"dir", required_argument, nullptr, letter::dir},
    option{"input", required_argument, nullptr, letter::input},
    option{"calls", required_argument, nullptr, letter::calls},
    option{"seed", required_argument, nullptr, letter::seed},
    option{"speed", required_argument, nullptr, letter::speed},
    option{"kills", required_argument, nullptr, letter::kills},
    option{"report-days", required_argument, nullptr, letter::report_days},
    option{"prove", no_argument, nullptr, letter::prove},
    option{"host", no_argument, nullptr, letter::host},
    option{"help", no_argument, nullptr, letter::help},
    option{nullptr, 0, nullptr, 0},
};

pace parse_pace(std::string_view text) {
  try {
    return pace::parse(text);
  } catch (const example::failure& f) {
    throw example::usage_error{fmt::format("--speed: {}", f.what())};
  }
}

void apply(options& o, int l, std::string_view value) {
  constexpr std::uint64_t calls_max = 10'000'000;
  constexpr std::uint64_t days_max = 100'000;
  switch (l) {
    case letter::dir:
      o.directory = example::parse_path("dir", value);
      break;
    case letter::input:
      o.input = example::parse_path("input", value);
      break;
    case letter::calls:
      o.calls = example::parse_count("calls", value, {1, calls_max});
      break;
    case letter::seed:
      o.seed = example::parse_count("seed", value, {});
      break;
    case letter::speed:
      o.pace = parse_pace(value);
      break;
    case letter::kills:
      o.kills = example::parse_count("kills", value, {0, calls_max});
      break;
    case letter::report_days:
      o.report_period = std::chrono::days{example::parse_count("report-days", value, {0, days_max})};
      break;
    case letter::prove:
      o.what = options::job::prove;
      break;
    case letter::host:
      o.what = options::job::host;
      break;
    case letter::help:
      o.what = options::job::help;
      break;
    default:
      break;
  }
}

}  // namespace

options parse_options(int argc, char** argv) {
  options o;
  example::read_options(argc, argv, letters.data(), [&](int l, std::string_view value) {
    apply(o, l, value);
    return o.what != options::job::help;
  });
  if (o.what == options::job::help) return o;
  if (!o.directory && (o.what == options::job::prove || o.what == options::job::host)) {
    throw example::usage_error{"--prove and --host need --dir"};
  }
  return o;
}

}  // namespace emergency
