#include "claim.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "text.hpp"

namespace example {

bool all_hold(const std::vector<claim>& proof) {
  return std::all_of(proof.begin(), proof.end(), [](const claim& c) { return c.violations.empty(); });
}

std::vector<std::string> render(const std::vector<claim>& proof, std::string_view proved) {
  constexpr std::size_t violations_max = 5;
  std::vector<std::string> lines;
  for (const auto& c : proof) {
    lines.push_back(fmt::format("  {} {:<47} {}", c.violations.empty() ? "✓" : "✗", c.promise, c.evidence));
    const auto shown = std::min(c.violations.size(), violations_max);
    for (std::size_t n = 0; n < shown; ++n) lines.push_back(fmt::format("      {}", c.violations[n]));
    if (shown < c.violations.size()) {
      lines.push_back(fmt::format("      and {} more", grouped(c.violations.size() - shown)));
    }
  }
  lines.push_back(all_hold(proof) ? fmt::format("PROVED: {}", proved)
                                  : "NOT PROVED: what is marked with ✗ was not kept");
  return lines;
}

}  // namespace example
