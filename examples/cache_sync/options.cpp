#include "options.hpp"

#include <array>
#include <cstdint>

#include <common/command_line.hpp>

namespace cache_sync {

const std::string_view usage =
    R"(usage: cache_sync [option]...

An organisation service changes organisations; a licensing service keeps a cache of what it needs of them, by
events that are published in the same transaction as the change. Licensing is stopped, changes go on, and it
catches up without a stale answer. An audit is added later. Then the same is done without a bus, by calling
licensing directly, and the organisation service's latencies are compared.

  --dir DIR          keep the store in DIR, and go on with what is there; default: a temporary directory,
                     removed at the end
  --organisations N  how many organisations there are; default: 25
  --changes N        changes in each phase; default: 60
  --measured N       changes of each line of the comparison, within a second; default: 200
  --slow-ms N        how long a slow licensing service works for a change; default: 2
  --timeout-ms N     how long a caller waits for an answer; default: 20
  --help             show this

Exit status: 0 proved, 1 not proved or failed, 2 wrong usage.
)";

namespace {

enum letter : int { dir = 1, organisations, changes, measured, slow, timeout, help };

constexpr std::array letters{
    option{"dir", required_argument, nullptr, letter::dir},
    option{"organisations", required_argument, nullptr, letter::organisations},
    option{"changes", required_argument, nullptr, letter::changes},
    option{"measured", required_argument, nullptr, letter::measured},
    option{"slow-ms", required_argument, nullptr, letter::slow},
    option{"timeout-ms", required_argument, nullptr, letter::timeout},
    option{"help", no_argument, nullptr, letter::help},
    option{nullptr, 0, nullptr, 0},
};

void apply(options& o, int l, std::string_view value) {
  constexpr example::bounds count{1, 1'000'000};
  constexpr example::bounds time{1, 10'000};
  const auto milliseconds = [&](std::string_view name) {
    return std::chrono::milliseconds{example::parse_count(name, value, time)};
  };
  switch (l) {
    case letter::dir:
      o.directory = example::parse_path("dir", value);
      break;
    case letter::organisations:
      o.organisations = example::parse_count("organisations", value, count);
      break;
    case letter::changes:
      o.changes = example::parse_count("changes", value, count);
      break;
    case letter::measured:
      o.measured = example::parse_count("measured", value, count);
      break;
    case letter::slow:
      o.slow = milliseconds("slow-ms");
      break;
    case letter::timeout:
      o.timeout = milliseconds("timeout-ms");
      break;
    case letter::help:
      o.help = true;
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
    return !o.help;
  });
  return o;
}

}  // namespace cache_sync
