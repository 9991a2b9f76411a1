#pragma once

/// @file
/// Which moments of a recording are worth a power cut.

#include <cstddef>
#include <cstdint>
#include <vector>

#include <crash/disk.hpp>
#include <crash/history.hpp>
#include <crash/recorder.hpp>

namespace levada::crash {

/// Indexes of calls after which a cut may come, each group in order.
struct moments {
  std::vector<std::size_t> all;
  /// At which something is pending.
  std::vector<std::size_t> pending;
  std::vector<std::size_t> in_creation;
  /// See `power_cut_summary`.
  std::vector<std::size_t> in_sealing;
  /// After the commit that names the segments, or about then.
  std::vector<std::size_t> in_erasing;
  std::vector<std::size_t> in_removal;
  std::vector<std::size_t> in_flush;
  /// After each call that changes something while a store is opened that a crash has left.
  std::vector<std::size_t> in_recovery;
  std::uint64_t sealings = 0;
  std::uint64_t segments = 0;
  std::uint64_t segments_removed = 0;
};

/// `start` is what the recording began on, and `earlier` the history of that.
[[nodiscard]] moments find_moments(const disk& start, const history& earlier,
                                   const std::vector<operation>& operations);

}  // namespace levada::crash
