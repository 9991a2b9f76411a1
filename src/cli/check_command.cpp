#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"
#include "cli/text.hpp"

#include <levada/attachment.hpp>

namespace levada::cli {

result<int> run(const check_request& request) {
  auto report = check_store(request.directory);
  if (!report) return report.error();
  output out;
  out.write(fmt::format("examined {} pages, {} rows, {} segments, {} records, {} queue entries\n",
                        report->pages, report->rows, report->segments, report->records,
                        report->queue_entries));
  for (const auto& problem : report->problems) {
    out.write(fmt::format("{}: {}\n", printable(problem.where), printable(problem.what)));
  }
  if (report->problems.empty()) out.write("no problems found\n");
  auto written = out.finish(0);
  if (!written || *written != 0 || report->problems.empty()) return written;
  return error{errc::damaged, fmt::format("check store '{}': {} problem{} found", request.directory.string(),
                                          report->problems.size(), report->problems.size() == 1 ? "" : "s")};
}

}  // namespace levada::cli
