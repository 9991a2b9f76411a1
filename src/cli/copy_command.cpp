#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"

#include <levada/backup.hpp>

namespace levada::cli {
namespace {

/// A bar on standard error, where that is a terminal.
class progress_bar {
 public:
  progress_bar() : shown_{::isatty(STDERR_FILENO) == 1} {}
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;
  ~progress_bar() {
    if (shown_) fmt::print(stderr, "\r{:{}}\r", "", width + 8);
  }
  void show(const backup_progress& p) const {
    if (!shown_ || p.total == 0) return;
    const double part = static_cast<double>(p.done) / static_cast<double>(p.total);
    const auto filled = static_cast<std::size_t>(part * width);
    fmt::print(stderr, "\r[{}{}] {:3.0f} %", std::string(filled, '#'), std::string(width - filled, ' '),
               part * 100);
    std::fflush(stderr);
  }

 private:
  static constexpr std::size_t width = 40;
  const bool shown_;
};

std::string mebibytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

result<int> run(const copy_request& request) {
  const auto began = std::chrono::steady_clock::now();
  result<backup_report> report{backup_report{}};
  {
    const progress_bar bar;
    report = backup_store(
        request.restore ? request.other : request.directory,
        request.restore ? request.directory : request.other,
        {.hard_links = request.hard_links, .progress = [&bar](const backup_progress& p) { bar.show(p); }});
  }
  if (!report) return report.error();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  output out;
  out.write(fmt::format("{} {} segment{}: {} copied, {} shared, {:.2f} s\n",
                        request.restore ? "restored" : "backed up", report->segments,
                        report->segments == 1 ? "" : "s", mebibytes(report->bytes_copied),
                        mebibytes(report->bytes_linked), took.count()));
  return out.finish(0);
}

}  // namespace levada::cli
