#pragma once

/// @file
/// A pass over one or several logs in the order in which their records were committed.

#include <cstdint>
#include <optional>
#include <vector>

#include "log/log_state.hpp"
#include "log/sealed_merge.hpp"

namespace levada::log {

/// How far a pass has come. Not safe to share.
struct log_pass {
  /// One log of it.
  struct part {
    const log_state* log = nullptr;
    /// By partition: the offset of the next record to be read, and the one before which the pass ends there.
    std::vector<std::uint64_t> next;
    std::vector<std::uint64_t> until;

    /// Whether nothing is left to be read, now or later.
    [[nodiscard]] bool ended() const noexcept;
  };
  static constexpr std::uint64_t no_end = UINT64_MAX;

  std::vector<part> parts;
  /// Of the rows before this one, everything has been read.
  std::uint64_t sequence = 0;
  /// The pass over the segments, while it is there.
  std::optional<sealed_merge> sealed = std::nullopt;

  /// The part of a log; null where it does not belong to the pass.
  [[nodiscard]] part* find(std::uint32_t log) noexcept;
  /// Whether nothing is left to be read, now or later.
  [[nodiscard]] bool ended() const noexcept;
};

/// A pass over logs from the records on that are at or behind the positions in `next`: finds the row at which
/// it begins.
[[nodiscard]] log_pass make_pass(std::vector<log_pass::part> parts);

}  // namespace levada::log
