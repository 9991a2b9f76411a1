#pragma once

/// @file
/// A consume, transform, produce loop under SIGKILL: whatever it has made of its input, it has made once.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace levada::crash {

struct processing_options {
  std::uint64_t seed = 1;
  std::uint64_t kills = 10;
  /// Two members of a share group do it, record by record, instead of the loop.
  bool shares = false;
  /// Leaves the offsets, or acknowledgements, out of the transactions and commits them afterwards: at least
  /// once, which must show.
  bool planted_offsets_apart = false;
};

struct processing_summary {
  std::uint64_t kills = 0;
  /// Of a process that had committed batches.
  std::uint64_t kills_with_progress = 0;
  std::uint64_t records_in = 0;
  std::uint64_t records_out = 0;
  std::vector<std::string> violations;
};

using processing_progress = std::function<void(const processing_summary&)>;

/// A process publishes numbers to a topic of some partitions, while a loop in it adds each to a table and
/// publishes what has become of it to another topic, in one transaction with the group's offsets; it is
/// killed at a random moment, and the next one goes on. At the end the rest is worked off, and each record of
/// the input must have been added and published exactly once. Must not be called while other threads run.
[[nodiscard]] processing_summary run_processing_kills(const processing_options& options,
                                                      const processing_progress& progress = {});

[[nodiscard]] std::string to_text(const processing_summary& s);

}  // namespace levada::crash
