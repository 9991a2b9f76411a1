#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

#include <levada/attachment.hpp>

namespace levada::cli {
namespace {

struct wording {
  const char* for_people;
  const char* for_programs;
};

wording words_of(space_reason reason) {
  switch (reason) {
    case space_reason::no_limit:
      return {"no limit", "no_limit"};
    case space_reason::within_limits:
      return {"within limits", "within_limits"};
    case space_reason::queue_reference:
      return {"queue", "queue_reference"};
    case space_reason::delayed_message:
      return {"delayed", "delayed_message"};
    case space_reason::backfill:
      return {"backfill", "backfill"};
    case space_reason::lagging_group:
      return {"group behind", "lagging_group"};
    case space_reason::lagging_job:
      return {"job behind", "lagging_job"};
    case space_reason::awaits_rewriting:
      return {"not needed", "awaits_rewriting"};
    case space_reason::awaits_sealing:
      return {"not sealed yet", "awaits_sealing"};
    case space_reason::awaits_checkpoint:
      return {"checkpoint due", "awaits_checkpoint"};
    case space_reason::held_view:
      return {"open view", "held_view"};
    case space_reason::held_snapshot:
      return {"old snapshot", "held_snapshot"};
    case space_reason::free_pages:
      return {"free", "free_pages"};
    case space_reason::bookkeeping:
      return {"bookkeeping", "bookkeeping"};
  }
  return {"something else", "unknown"};
}

table::cell cell_of(const std::string& name) {
  return name.empty() ? table::cell{} : table::cell{name};
}

table table_for_programs(const space_report& report) {
  table t{{"bytes", "reason", "topic", "holder", "partition", "oldest"}, {}};
  for (const auto& e : report.entries) {
    t.rows.push_back({e.bytes, std::string{words_of(e.reason).for_programs}, cell_of(e.topic),
                      cell_of(e.holder),
                      e.partition ? table::cell{std::uint64_t{e.partition->value()}} : table::cell{},
                      e.oldest ? table::cell{e.oldest->value()} : table::cell{}});
  }
  return t;
}

table table_for_people(const space_report& report) {
  std::vector<std::string> sizes;
  std::size_t width = 0;
  for (const auto& e : report.entries)
    width = std::max(width, sizes.emplace_back(about_size(e.bytes)).size());
  width = std::max(width, about_size(report.bytes).size());
  const auto aligned = [&](const std::string& size) { return fmt::format("{:>{}}", size, width); };
  table t{{"space", "why", "topic", "holder", "from"}, {}};
  for (std::size_t i = 0; i < report.entries.size(); ++i) {
    const auto& e = report.entries[i];
    table::cell from;
    if (e.partition && e.oldest)
      from = fmt::format("partition {} offset {}", e.partition->value(), e.oldest->value());
    t.rows.push_back({aligned(sizes[i]), std::string{words_of(e.reason).for_people}, cell_of(e.topic),
                      cell_of(e.holder), std::move(from)});
  }
  t.rows.push_back({aligned(about_size(report.bytes)), std::string{"in all"}, {}, {}, {}});
  return t;
}

}  // namespace

result<int> run(const space_request& request) {
  const auto store = attachment::open(request.directory);
  if (!store) return store.error();
  const auto report = store->space();
  if (!report) return report.error();
  output out;
  if (request.json) {
    write_json(out, table_for_programs(*report));
  } else {
    write_aligned(out, table_for_people(*report));
  }
  return out.finish(0);
}

}  // namespace levada::cli
