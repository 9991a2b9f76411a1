#include "options.hpp"

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

options parse_options(int argc, char** argv) {
  using example::known_option;
  using example::option_value;
  options o;
  constexpr example::bounds count{1, 1'000'000};
  constexpr example::bounds time{1, 10'000};
  example::read_options(argc, argv,
                        {{"dir", [&](const option_value& v) { o.directory = v.path(); }},
                         {"organisations", [&](const option_value& v) { o.organisations = v.count(count); }},
                         {"changes", [&](const option_value& v) { o.changes = v.count(count); }},
                         {"measured", [&](const option_value& v) { o.measured = v.count(count); }},
                         {"slow-ms", [&](const option_value& v) { o.slow = v.milliseconds(time); }},
                         {"timeout-ms", [&](const option_value& v) { o.timeout = v.milliseconds(time); }},
                         {"help", [&] { o.help = true; }, known_option::then::leave_the_rest}});
  return o;
}

}  // namespace cache_sync
