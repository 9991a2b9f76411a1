#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "line.hpp"
#include "local_time.hpp"

namespace emergency {

enum class category : std::uint8_t { ems, fire, traffic };

inline constexpr std::array categories{category::ems, category::fire, category::traffic};

/// EMS, Fire, Traffic.
[[nodiscard]] std::string_view name_of(category c);
[[nodiscard]] std::optional<category> category_named(std::string_view name);

/// The number of a call, counted from 1 as calls come in.
using call_id = std::uint64_t;

/// One emergency call.
struct call {
  call_id id = 0;
  double latitude = 0;
  double longitude = 0;
  emergency::category category{};
  /// What happened, such as FALL VICTIM.
  std::string type;
  local_time time;
  std::string area;
  std::string address;

  [[nodiscard]] emergency::line line() const { return line_at(area, address); }
};

/// The call as a line of CSV: latitude, longitude, "CATEGORY: TYPE", time, area, address. Without its id.
[[nodiscard]] std::string to_csv(const call& c);
/// Reads such a line. Throws `failure` that tells what is wrong with it.
[[nodiscard]] call parse_call(std::string_view csv, call_id id);

}  // namespace emergency
