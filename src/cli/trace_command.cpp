#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"
#include "cli/text.hpp"
#include "cli/trace_text.hpp"

#include <levada/attachment.hpp>

namespace levada::cli {

result<int> run(const trace_request& request) {
  const auto store = attachment::open(request.directory);
  if (!store) return store.error();
  const auto trace = store->trace(request.id, {.messages_max = request.messages_max});
  if (!trace) return trace.error();
  if (trace->messages.empty()) {
    return error{errc::unknown_ticket,
                 fmt::format("trace '{}': the ledger knows of no such message", printable(request.id))};
  }
  output out;
  switch (request.form) {
    case trace_request::form_type::tree:
      write_tree(out, *trace);
      break;
    case trace_request::form_type::mermaid:
      write_mermaid(out, *trace);
      break;
    case trace_request::form_type::json:
      for (const auto& m : trace->messages) write_json(out, m);
      break;
  }
  auto written = out.finish(0);
  if (!written || *written != 0 || !trace->truncated) return written;
  return error{errc::invalid_argument, fmt::format("trace '{}': there are more than {} messages; see --max",
                                                   printable(request.id), request.messages_max)};
}

}  // namespace levada::cli
