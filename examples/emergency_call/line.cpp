#include "line.hpp"

#include <utility>

#include <fmt/core.h>

#include <common/failure.hpp>
#include <common/text.hpp>

namespace emergency {
namespace {

constexpr std::string_view apartment_mark = " APT ";

/// One word of a routing key: no dots and no wildcards, whatever people write into an address.
std::string routing_word(std::string_view text) {
  std::string word;
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool kept = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
    if (kept) {
      word += upper ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!word.empty() && word.back() != '-') {
      word += '-';
    }
  }
  if (word.ends_with('-')) word.pop_back();
  return word.empty() ? "unnamed" : word;
}

}  // namespace

std::string line::key() const {
  return fmt::format("{}.{}.{}", area, building, unit);
}

line line_at(std::string_view area, std::string_view address) {
  const auto mark = address.rfind(apartment_mark);
  if (mark == std::string_view::npos) return {routing_word(area), routing_word(address), "main"};
  return {routing_word(area), routing_word(address.substr(0, mark)),
          routing_word(address.substr(mark + apartment_mark.size()))};
}

line parse_line_key(std::string_view key) {
  const auto words = example::split(key, '.');
  if (words.size() != 3) throw example::failure{fmt::format("'{}' is not a line's key", key)};
  return {std::string{words[0]}, std::string{words[1]}, std::string{words[2]}};
}

scope::scope(std::string area, std::string building, std::string unit)
    : area_{std::move(area)}, building_{std::move(building)}, unit_{std::move(unit)} {}

scope scope::of_area(const line& any_in_it) {
  return {any_in_it.area, "", ""};
}
scope scope::of_building(const line& any_in_it) {
  return {any_in_it.area, any_in_it.building, ""};
}
scope scope::of_line(const line& one) {
  return {one.area, one.building, one.unit};
}

scope scope::parse(std::string_view binding_key) {
  const auto words = example::split(binding_key, '.');
  if (words.size() == 2 && words[1] == "#") return {std::string{words[0]}, "", ""};
  if (words.size() == 3) {
    return {std::string{words[0]}, std::string{words[1]}, words[2] == "*" ? "" : std::string{words[2]}};
  }
  throw example::failure{fmt::format("'{}' is not a subscriber's binding key", binding_key)};
}

std::string scope::binding_key() const {
  if (building_.empty()) return fmt::format("{}.#", area_);
  return fmt::format("{}.{}.{}", area_, building_, unit_.empty() ? "*" : unit_);
}

bool scope::covers(const line& l) const {
  return area_ == l.area && (building_.empty() || building_ == l.building) &&
         (unit_.empty() || unit_ == l.unit);
}

}  // namespace emergency
