#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "cli/commands.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"
#include "cli/standard_streams.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

#include <levada/control.hpp>

namespace levada::cli {
namespace {

/// On standard error, so that what is printed is the table alone.
void tell_that_nothing_was_changed() {
  report("nothing has been changed; add --execute to do it");
}

table to_table(const std::vector<offset_change>& changes) {
  table t{{"topic", "partition", "from", "to"}, {}};
  for (const auto& change : changes) {
    table::cell from;
    if (change.from) from = change.from->value();
    t.rows.push_back(
        {change.where.topic, std::uint64_t{change.where.partition.value()}, from, change.to.value()});
  }
  return t;
}

}  // namespace

result<int> run(const reset_request& request) {
  const auto changes = reset_offsets(request.directory, request.group, request.topic, request.options);
  if (!changes) return changes.error();
  output out;
  if (request.json) {
    write_json(out, to_table(*changes));
  } else {
    write_aligned(out, to_table(*changes));
  }
  auto printed = out.finish(0);
  if (printed && request.options.dry_run) tell_that_nothing_was_changed();
  return printed;
}

result<int> run(const deletion_request& request) {
  if (auto done = delete_group(request.directory, request.group, request.options); !done) return done.error();
  output out;
  out.write(fmt::format("group '{}' {}\n", printable(request.group),
                        request.options.dry_run ? "can be deleted" : "has been deleted"));
  auto printed = out.finish(0);
  if (printed && request.options.dry_run) tell_that_nothing_was_changed();
  return printed;
}

}  // namespace levada::cli
