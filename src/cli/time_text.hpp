#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <levada/options.hpp>
#include <levada/types.hpp>

namespace levada::cli {

/// RFC 3339 in UTC with microseconds: "2026-01-31T12:00:00.000000Z".
[[nodiscard]] std::string to_rfc3339(timestamp time);

/// A date and time of RFC 3339 with any offset from UTC, or nothing when it is not one. Digits of the
/// second's fraction beyond the sixth are dropped.
[[nodiscard]] std::optional<timestamp> parse_rfc3339(std::string_view text);

/// Where reading starts, as written on the command line: "earliest", "latest", an offset, a time of RFC 3339,
/// "@" and seconds since 1970, or "-" and an age in s, m, h or d counted back from `now`. Nothing when it is
/// none of these. Digits alone are an offset.
[[nodiscard]] std::optional<start_position> parse_start(std::string_view text, timestamp now);

/// Where reading ends, in the same words but without "earliest".
[[nodiscard]] std::optional<end_position> parse_end(std::string_view text, timestamp now);

/// A length of time, as written on the command line: a number of s, m, h or d, such as "90s" or "7d". Nothing
/// when it is none.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_length(std::string_view text);

/// A length of time in the largest of the units d, h, m, s and ms that divides it: "7d", "1500ms".
[[nodiscard]] std::string to_age(std::chrono::milliseconds length);

}  // namespace levada::cli
