#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"
#include "cli/text.hpp"

#include <levada/repair.hpp>

namespace levada::cli {
namespace {

std::string counted(std::uint64_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string line_of(const lost_records& lost) {
  const std::uint64_t first = lost.first.value();
  const std::uint64_t last = lost.end.value() - 1;
  return fmt::format(
      "topic '{}' partition {} {}: {}\n", printable(lost.where.topic), lost.where.partition.value(),
      first == last ? fmt::format("offset {}", first) : fmt::format("offsets {} to {}", first, last),
      printable(lost.why));
}

}  // namespace

result<int> run(const repair_request& request) {
  const auto report = repair_store(request.directory, {.dry_run = request.dry_run});
  if (!report) return report.error();
  output out;
  std::uint64_t offsets = 0;
  std::uint64_t messages = 0;
  for (const auto& lost : report->records) {
    out.write(line_of(lost));
    offsets += lost.end - lost.first;
  }
  for (const auto& lost : report->messages) {
    out.write(fmt::format("{} '{}': {}\n", lost.of_share_group ? "share group" : "queue",
                          printable(lost.queue),
                          counted(lost.count, lost.of_share_group ? "record" : "message")));
    messages += lost.count;
  }
  if (report->delayed > 0) {
    out.write(fmt::format("schedule: {}\n", counted(report->delayed, "delayed message")));
    messages += report->delayed;
  }
  if (report->tickets > 0) out.write(fmt::format("tickets: {}\n", counted(report->tickets, "ticket")));
  for (const auto& lost : report->values) {
    out.write(fmt::format("table '{}' key {}: {}\n", printable(lost.table),
                          lost.key ? lost.key->text() : "unknown", printable(lost.why)));
  }
  if (report->sound()) {
    out.write("no damage found\n");
  } else {
    out.write(fmt::format("{} {} and {}: {}, {} and {} lost\n", request.dry_run ? "would repair" : "repaired",
                          counted(report->segments, "segment"), counted(report->rows, "row"),
                          counted(offsets, "offset"), counted(messages, "message"),
                          counted(report->values.size(), "value")));
  }
  auto written = out.finish(0);
  if (!written || *written != 0 || report->sound() || !request.dry_run) return written;
  return error{errc::damaged, fmt::format("repair store '{}': it is damaged; nothing has been changed",
                                          request.directory.string())};
}

}  // namespace levada::cli
