#include "options.hpp"

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

pace parse_pace(std::string_view text) {
  try {
    return pace::parse(text);
  } catch (const example::failure& f) {
    throw example::usage_error{fmt::format("--speed: {}", f.what())};
  }
}

}  // namespace

options parse_options(int argc, char** argv) {
  using example::known_option;
  using example::option_value;
  options o;
  constexpr std::uint64_t calls_max = 10'000'000;
  constexpr std::uint64_t days_max = 100'000;
  example::read_options(argc, argv,
                        {{"dir", [&](const option_value& v) { o.directory = v.path(); }},
                         {"input", [&](const option_value& v) { o.input = v.path(); }},
                         {"calls",
                          [&](const option_value& v) {
                            o.calls = v.count({1, calls_max});
                          }},
                         {"seed", [&](const option_value& v) { o.seed = v.count(); }},
                         {"speed", [&](const option_value& v) { o.pace = parse_pace(v.text()); }},
                         {"kills",
                          [&](const option_value& v) {
                            o.kills = v.count({0, calls_max});
                          }},
                         {"report-days",
                          [&](const option_value& v) {
                            o.report_period = std::chrono::days{v.count({0, days_max})};
                          }},
                         {"prove", [&] { o.what = options::job::prove; }},
                         {"host", [&] { o.what = options::job::host; }},
                         {"help", [&] { o.what = options::job::help; }, known_option::then::leave_the_rest}});
  if (o.what == options::job::help) return o;
  if (!o.directory && (o.what == options::job::prove || o.what == options::job::host)) {
    throw example::usage_error{"--prove and --host need --dir"};
  }
  return o;
}

}  // namespace emergency
