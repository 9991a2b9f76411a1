#include "leaks.hpp"

#include <algorithm>
#include <string_view>
#include <variant>

#include <fmt/core.h>

namespace live_profile {
namespace {

/// All that a record carries that can hold a text.
std::vector<std::string_view> parts_of(const levada::record_view& r) {
  const auto p = r.properties();
  std::vector parts{r.routing_key(), r.key(),          r.value(),  p.content_type,
                    p.message_id,    p.correlation_id, p.reply_to, p.type};
  for (const auto& h : r.headers()) {
    parts.push_back(h.name);
    if (const auto* text = std::get_if<std::string_view>(&h.value)) parts.push_back(*text);
    if (const auto* bytes = std::get_if<std::span<const std::byte>>(&h.value)) {
      parts.emplace_back(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    }
  }
  return parts;
}

bool holds_one(const levada::record_view& r, const std::vector<secret>& secrets) {
  const auto parts = parts_of(r);
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    return std::any_of(secrets.begin(), secrets.end(),
                       [&](const secret& s) { return part.find(s.reveal()) != std::string_view::npos; });
  });
}

}  // namespace

leak_report find_leaks(const levada::bus& bus, const std::vector<secret>& secrets) {
  leak_report report;
  auto all = bus.replay_all({.until = levada::until_latest{}}).value();
  while (!all.ended()) {
    for (const auto& r : all.next().value()) {
      ++report.records;
      if (!holds_one(r, secrets)) continue;
      report.leaks.push_back(
          fmt::format("'{}' offset {} holds a private field", r.topic(), r.offset().value()));
    }
  }
  return report;
}

}  // namespace live_profile
