#include "options.hpp"

#include <common/command_line.hpp>

namespace transaction_confirm {

const std::string_view usage =
    R"(usage: transaction_confirm [option]...

Sends transactions to an outside chain, which confirms most after about a second, some later and some never.
Each is checked after a wait, and again up to three times; then it is given up. Done twice at the same time:
with the topology that is usual with RabbitMQ (a work queue, and a waiting queue from which messages expire
back to it), and with a delay, a redelivery delay and a delivery limit of one queue. Both must come to the
same.

  --dir DIR         keep the store in DIR, which must be new; default: a temporary directory, removed at the
                    end
  --transactions N  how many; default: 8
  --wait MS         between two checks; the chain's times go with it; default: 5000
  --help            show this

Exit status: 0 proved, 1 not proved or failed, 2 wrong usage.
)";

options parse_options(int argc, char** argv) {
  using example::known_option;
  using example::option_value;
  options o;
  example::read_options(argc, argv,
                        {{"dir", [&](const option_value& v) { o.directory = v.path(); }},
                         {"transactions",
                          [&](const option_value& v) {
                            o.transactions = v.count({1, 100'000});
                          }},
                         {"wait",
                          [&](const option_value& v) {
                            o.wait = v.milliseconds({10, 3'600'000});
                          }},
                         {"help", [&] { o.help = true; }, known_option::then::leave_the_rest}});
  return o;
}

}  // namespace transaction_confirm
