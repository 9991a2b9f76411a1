#pragma once

/// @file
/// What repairing finds to be lost.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace levada::log {

/// Offsets of one partition whose records are lost.
struct lost_range {
  std::uint32_t log = 0;
  std::uint32_t partition = 0;
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  /// Which file or row was damaged, and how.
  std::string why;
};

/// The oldest offset that is still wanted of a log's partition; nothing for a log that has been deleted.
using begin_function =
    std::function<std::optional<std::uint64_t>(std::uint32_t log, std::uint32_t partition)>;

}  // namespace levada::log
