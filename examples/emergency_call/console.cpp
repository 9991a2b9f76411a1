#include "console.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/core.h>
#include <unistd.h>

#include <common/text.hpp>

namespace emergency {
namespace {

constexpr std::chrono::milliseconds time_between_showings{100};
constexpr std::size_t bar_width = 10;

}  // namespace

std::string to_text(const progress& p) {
  const auto all = std::max<std::uint64_t>(p.calls, 1);
  const auto filled = p.acknowledged * bar_width / all;
  std::string bar;
  for (std::size_t n = 0; n < bar_width; ++n) bar += n < filled ? "█" : "░";
  const auto rate = p.elapsed.count() > 0 ? static_cast<double>(p.acknowledged) / p.elapsed.count() : 0.0;
  return fmt::format("{} {:>3} %  {}  {} of {} calls  {:.0f}/s  {} queues", bar, 100 * p.acknowledged / all,
                     minute_text(p.clock), example::grouped(p.acknowledged), example::grouped(p.calls), rate,
                     p.subscribers);
}

console::console() : overwrites_{::isatty(STDERR_FILENO) == 1}, bold_{::isatty(STDOUT_FILENO) == 1} {}

console::~console() {
  erase();
}

void console::line(std::string_view text) {
  erase();
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

void console::title(std::string_view text) {
  line("");
  line(bold_ ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string{text});
}

void console::show(const progress& p) {
  if (!overwrites_) {
    const auto tenths = p.acknowledged * 10 / std::max<std::uint64_t>(p.calls, 1);
    if (tenths > tenths_) fmt::print(stderr, "{}\n", to_text(p));
    tenths_ = std::max(tenths, tenths_);
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (shown_ && now - shown_at_ < time_between_showings) return;
  erase();
  fmt::print(stderr, "{}", to_text(p));
  shown_ = true;
  shown_at_ = now;
}

void console::erase() {
  if (shown_) fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

}  // namespace emergency
