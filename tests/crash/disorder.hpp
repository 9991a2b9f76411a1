#pragma once

/// @file
/// Recordings as a library with its calls in a wrong order would have made them.

#include <string>
#include <vector>

#include <crash/recorder.hpp>

namespace levada::crash {

enum class disorder {
  none,
  /// Segments are removed before the commit that drops them, and durably so.
  removals_before_commits,
  /// Segments are removed at the end of the maintenance that drops them, and durably so, and not behind the
  /// next checkpoint.
  removals_before_checkpoints,
  /// A checkpoint is written before the data that it names has been synced.
  checkpoints_before_data,
};

[[nodiscard]] std::vector<operation> reorder(std::vector<operation> recorded, disorder how);

}  // namespace levada::crash
