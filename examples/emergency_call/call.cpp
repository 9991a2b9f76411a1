#include "call.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include <common/failure.hpp>
#include <common/text.hpp>

#include "csv.hpp"

namespace emergency {
namespace {

constexpr std::size_t text_bytes_max = 80;  // three of these fit into a routing key

double parse_degrees(std::string_view text, std::string_view what, double limit) {
  const auto degrees = example::parse_number<double>(text);
  if (!degrees || !(std::abs(*degrees) <= limit)) {
    throw example::failure{
        fmt::format("the {} '{}' is not a number from -{} to {}", what, text, limit, limit)};
  }
  return *degrees;
}

std::string checked_text(std::string text, std::string_view what) {
  if (text.empty()) throw example::failure{fmt::format("the {} is empty", what)};
  if (text.size() > text_bytes_max) {
    throw example::failure{fmt::format("the {} is longer than {} bytes", what, text_bytes_max)};
  }
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  if (std::any_of(text.begin(), text.end(), is_control)) {
    throw example::failure{fmt::format("the {} holds a control character", what)};
  }
  return text;
}

}  // namespace

std::string_view name_of(category c) {
  switch (c) {
    case category::ems:
      return "EMS";
    case category::fire:
      return "Fire";
    case category::traffic:
      return "Traffic";
  }
  return "?";
}

std::optional<category> category_named(std::string_view name) {
  for (const auto c : categories) {
    if (name_of(c) == name) return c;
  }
  return std::nullopt;
}

std::string to_csv(const call& c) {
  return join_csv_line({fmt::format("{}", c.latitude), fmt::format("{}", c.longitude),
                        fmt::format("{}: {}", name_of(c.category), c.type), minute_text(c.time), c.area,
                        c.address});
}

call parse_call(std::string_view csv, call_id id) {
  auto fields = split_csv_line(csv);
  if (fields.size() != 6) throw example::failure{fmt::format("6 fields expected, {} found", fields.size())};
  call c;
  c.id = id;
  c.latitude = parse_degrees(fields[0], "latitude", 90);
  c.longitude = parse_degrees(fields[1], "longitude", 180);
  const auto colon = fields[2].find(": ");
  const auto category = category_named(fields[2].substr(0, colon));
  if (colon == std::string::npos || !category) {
    throw example::failure{
        fmt::format("'{}' is not of the form 'CATEGORY: TYPE' with EMS, Fire or Traffic", fields[2])};
  }
  c.category = *category;
  c.type = checked_text(fields[2].substr(colon + 2), "type");
  const auto time = parse_local_time(fields[3]);
  if (!time)
    throw example::failure{fmt::format("'{}' is not a time of the form YYYY-MM-DD HH:MM", fields[3])};
  c.time = *time;
  c.area = checked_text(std::move(fields[4]), "township");
  c.address = checked_text(std::move(fields[5]), "address");
  return c;
}

}  // namespace emergency
