#include "support/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <stdexcept>

namespace levada::bench {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

extern "C" void note_signal(int /*number*/) {
  asked_to_stop = 1;
}

}  // namespace

void findings::line(std::string_view text) const {
  fmt::print("  {}\n", text);
  std::fflush(stdout);
}

void findings::judge(const std::string& name, std::string_view text, double value, const std::string& target,
                     bool reached) {
  figure(name, value);
  if (!smoke_) {
    ++targets_;
    if (reached) ++met_;
  }
  line(fmt::format("{:<74} {:>6.2f}   target {:<12} {}", text, value, target,
                   smoke_    ? "-"
                   : reached ? "yes"
                             : "NO"));
}

void findings::at_least(const std::string& name, std::string_view text, double value, double target) {
  judge(name, text, value, fmt::format(">= {}", target), value >= target);
}

void findings::at_most(const std::string& name, std::string_view text, double value, double target) {
  judge(name, text, value, fmt::format("<= {}", target), value <= target);
}

void note_signals() {
  struct sigaction action {};
  action.sa_handler = &note_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

void stop_if_asked() {
  if (asked_to_stop != 0) throw std::runtime_error{"stopped by a signal"};
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string with_range(const std::vector<double>& values) {
  const auto range = std::minmax_element(values.begin(), values.end());
  return fmt::format("{:.2f} ({:.2f} - {:.2f})", median(values), *range.first, *range.second);
}

}  // namespace levada::bench
