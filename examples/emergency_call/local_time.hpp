#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace emergency {

/// Time on the wall of the place where the call came from; the data names no time zone.
using local_time = std::chrono::local_seconds;

/// Reads `YYYY-MM-DD HH:MM` or `YYYY-MM-DD HH:MM:SS`; nothing when it is no such time.
[[nodiscard]] std::optional<local_time> parse_local_time(std::string_view text);
/// `YYYY-MM-DD HH:MM`
[[nodiscard]] std::string minute_text(local_time t);
/// `YYYY-MM-DD HH:MM:SS`
[[nodiscard]] std::string second_text(local_time t);
/// 0 to 23.
[[nodiscard]] std::size_t hour_of_day(local_time t);

}  // namespace emergency
