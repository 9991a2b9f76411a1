#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <crash/history.hpp>
#include <crash/store_content.hpp>

namespace levada::crash {

/// What has ended the history.
enum class aftermath {
  /// The death of the process: everything that was told has happened.
  process_death,
  /// A power cut: where the bus ran with checkpoints, the store may be that of an earlier moment.
  power_cut,
};

struct check_options {
  aftermath of = aftermath::process_death;
  /// With which the store is opened.
  durability mode = durability::synced;
  /// The run of the system in which it is. After a power cut it must not be the victim's.
  std::string boot_id = "boot 1";
  /// Also publish, commit and settle something at the end, to see that the store can be written. What the
  /// history promises no longer holds afterwards.
  bool use_afterwards = false;
  /// Also do maintenance: right after opening, so that what is compared comes out of segments, and after each
  /// use.
  bool seal = false;
};

struct check_outcome {
  /// What does not hold, a sentence each; empty when all does.
  std::vector<std::string> violations;
  /// How many lines of the history the store is found to hold: all of them, unless it was taken back.
  std::size_t lines = 0;
  /// Of a history of queues.
  queue_findings in_queues;
};

/// Opens the store as after a crash at the end of `lines`, and compares it with what they promise: with all
/// of it, or where a power cut has taken it back, with all that was promised at one moment that it may be
/// taken back to. Opening notes on disk that messages were delivered, and removes segments that were not
/// completed; nothing else changes unless asked for. Throws `std::invalid_argument` for a broken history.
[[nodiscard]] check_outcome check(const std::filesystem::path& directory, const history& lines,
                                  const check_options& options = {});

/// The same in a process of its own, which also survives what kills it: that is a violation as well.
/// Must not be called while other threads run.
[[nodiscard]] check_outcome check_in_child(const std::filesystem::path& directory, const history& lines,
                                           const check_options& options = {});

}  // namespace levada::crash
