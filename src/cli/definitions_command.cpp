#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/commands.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"
#include "cli/standard_streams.hpp"
#include "cli/text.hpp"

#include <levada/attachment.hpp>
#include <levada/bus.hpp>
#include <levada/definitions.hpp>

namespace levada::cli {
namespace {

/// More than definitions may have: reading ends there, and importing says so.
constexpr std::size_t definitions_bytes_max = std::size_t{65} << 20;

error cannot_read(const std::string& file, int failure) {
  return {errc::io_error, fmt::format("read '{}': {}", file, std::generic_category().message(failure))};
}

result<std::string> read_all(int from, const std::string& file) {
  std::string text;
  std::array<char, 65536> buffer;
  while (text.size() < definitions_bytes_max) {
    const ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot_read(file, errno);
    if (n == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

/// What a file holds, or standard input where its name is "-".
result<std::string> content_of(const std::string& file) {
  if (file == "-") return read_all(STDIN_FILENO, "standard input");
  const int from = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (from < 0) return cannot_read(file, errno);
  auto text = read_all(from, file);
  ::close(from);
  return text;
}

bool is_unknown(const definitions_finding& f) {
  return f.weight == definitions_finding::importance::unknown;
}

/// Whether something unknown keeps an import from being made.
bool is_kept_from(const definitions_report& report, const import_request& request) {
  return !request.options.skip_unknown &&
         std::any_of(report.findings.begin(), report.findings.end(), is_unknown);
}

/// Imports, and makes the store where there is none; but not in vain.
result<definitions_report> import_into_store(const import_request& request, std::string_view definitions) {
  auto store = bus::open(request.directory, {.create = false});
  if (!store && store.error() == errc::store_not_found) {
    auto rehearsal = bus::open_in_memory();
    if (!rehearsal) return rehearsal.error();
    auto only_told = request.options;
    only_told.dry_run = true;
    auto report = import_definitions(*rehearsal, definitions, only_told);
    if (!report || request.options.dry_run || is_kept_from(*report, request)) return report;
    store = bus::open(request.directory);
  }
  if (!store) return store.error();
  auto report = import_definitions(*store, definitions, request.options);
  if (!report) return report;
  if (auto closed = store->close(); !closed) return closed.error();
  return report;
}

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

void write_lines(output& out, const definitions_report& report) {
  for (const auto& f : report.findings) {
    out.write(fmt::format("{}: {}: {}\n", is_unknown(f) ? "unknown" : "without meaning", printable(f.where),
                          printable(f.what)));
  }
  const std::string policies =
      report.policies == 1 ? "1 policy" : fmt::format("{} policies", report.policies);
  out.write(fmt::format("{} {}, {}, {} and {}\n", report.applied ? "imported" : "would import",
                        counted(report.exchanges, "exchange"), counted(report.queues, "queue"),
                        counted(report.bindings, "binding"), policies));
}

}  // namespace

result<int> run(const export_request& request) {
  const auto store = attachment::open(request.directory);
  if (!store) return store.error();
  const auto text = export_definitions(*store, request.virtual_host);
  if (!text) return text.error();
  output out;
  out.write(*text);
  return out.finish(0);
}

result<int> run(const import_request& request) {
  const auto definitions = content_of(request.file);
  if (!definitions) return definitions.error();
  const auto report = import_into_store(request, *definitions);
  if (!report) return report.error();
  output out;
  if (request.json) {
    write_json(out, *report);
  } else {
    write_lines(out, *report);
  }
  auto printed = out.finish(0);
  if (!printed || *printed != 0 || report->applied) return printed;
  if (!is_kept_from(*report, request)) {
    cli::report("nothing has been changed; leave --dry-run out to do it");
    return printed;
  }
  const auto unknown = std::count_if(report->findings.begin(), report->findings.end(), is_unknown);
  return error{
      errc::invalid_argument,
      fmt::format("import '{}' into store '{}': {} unknown; nothing has been changed (see --skip-unknown)",
                  request.file, request.directory.string(),
                  unknown == 1 ? std::string{"1 thing is"} : fmt::format("{} things are", unknown))};
}

}  // namespace levada::cli
