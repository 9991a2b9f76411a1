#include "options.hpp"

#include <common/command_line.hpp>

namespace live_profile {

const std::string_view usage =
    R"(usage: live_profile [option]...

A user service changes profiles, and publishes each change to the topic exchange 'notification' in the same
transaction. Viewers connect, each with an anonymous queue that is bound for those whom he watches; each is
sent a snapshot, then the changes, without a gap. Viewers leave, and nothing is kept for them. One is slow,
and holds up nobody. Mail addresses and password hashes never leave the service.

  --dir DIR    keep the store in DIR, and go on with what is there; default: a temporary directory, removed at
               the end
  --viewers N  how many viewers there are beside the slow one; default: 8
  --changes N  changes that the slow viewer does not take; default: 40
  --help       show this

Exit status: 0 proved, 1 not proved or failed, 2 wrong usage.
)";

options parse_options(int argc, char** argv) {
  using example::known_option;
  using example::option_value;
  options o;
  example::read_options(argc, argv,
                        {{"dir", [&](const option_value& v) { o.directory = v.path(); }},
                         {"viewers",
                          [&](const option_value& v) {
                            o.viewers = v.count({1, 1'000});
                          }},
                         {"changes",
                          [&](const option_value& v) {
                            o.changes = v.count({1, 1'000'000});
                          }},
                         {"help", [&] { o.help = true; }, known_option::then::leave_the_rest}});
  return o;
}

}  // namespace live_profile
