#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace levada::crash {

/// The name of one record: unique in a history, and growing for each producer.
using serial = std::uint64_t;

inline constexpr std::uint32_t producers_max = 256;

/// Runs are numbered from 1, producers and numbers from 0.
[[nodiscard]] constexpr serial make_serial(std::uint32_t run, std::uint32_t producer,
                                           std::uint32_t number) noexcept {
  return serial{run} << 40 | serial{producer} << 32 | number;
}
[[nodiscard]] constexpr std::uint32_t producer_of(serial s) noexcept {
  return static_cast<std::uint32_t>(s >> 32) % producers_max;
}

/// A value of about `bytes` bytes that names its record and cannot be taken for another's.
[[nodiscard]] std::string make_payload(serial s, std::size_t bytes);

/// Which record a value belongs to; nothing when a single byte differs from what `make_payload` made.
[[nodiscard]] std::optional<serial> serial_of(std::string_view payload);

/// A hash over all that a record carries.
[[nodiscard]] std::uint64_t fingerprint(std::string_view key, std::string_view routing_key,
                                        std::string_view value) noexcept;

}  // namespace levada::crash
