#pragma once

/// @file
/// Power cuts: records the victim at work, rebuilds what a cut at some moment may leave, and checks that.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <crash/disk.hpp>
#include <crash/disorder.hpp>
#include <crash/history.hpp>
#include <crash/store_content.hpp>
#include <crash/victim.hpp>

namespace levada::crash {

struct power_cut_options {
  workload work = workload::logs;
  std::uint64_t seed = 1;
  std::uint64_t states = 300;
  /// How many of them come from one recording.
  std::uint64_t states_per_recording = 25;
  std::uint64_t operations = 90;
  /// Of first recordings and most second ones; the others have the other one.
  durability mode = durability::synced;
  /// See `victim_options`.
  std::uint64_t burst_records = 20;
  planted_fault planted = planted_fault::none;
  ignored_syncs ignored = ignored_syncs::none;
  disorder wrong_order = disorder::none;
  /// If not empty, the recording in which a violation says this is the last one.
  std::string until_violation_says = {};
  /// Where violating states and their histories are kept, to be looked into.
  std::optional<std::filesystem::path> keep = std::nullopt;
};

struct power_cut_summary {
  std::uint64_t recordings = 0;
  std::uint64_t operations = 0;
  std::uint64_t states = 0;
  /// In which something was lost.
  std::uint64_t states_with_faults = 0;
  /// Before the store was there for good.
  std::uint64_t states_in_creation = 0;
  /// Sealings that the recordings contain, other rewritings included, and the segments that these wrote.
  std::uint64_t sealings = 0;
  std::uint64_t segments = 0;
  /// Segments that were removed: merged, compacted, thinned out, retained no longer, or of deleted topics.
  std::uint64_t segments_removed = 0;
  /// Between a segment's first call and the third commit after its name was synced: about when the rows that
  /// it replaces are gone.
  std::uint64_t states_in_sealing = 0;
  /// Shortly before a segment's removal, or right behind it.
  std::uint64_t states_in_removal = 0;
  /// While `bus::sync` was under way.
  std::uint64_t states_in_flush = 0;
  /// While a store was opened that a crash had left.
  std::uint64_t states_in_recovery = 0;
  /// Of which some acknowledged change was lost, as the mode with checkpoints allows.
  std::uint64_t states_taken_back = 0;
  /// In which the process alone has died.
  std::uint64_t states_of_death = 0;
  faults injected;
  /// Of histories of queues: what was found in the states.
  queue_findings in_queues;
  /// What the states were compared with, all together.
  acknowledgements checked;
  std::uint64_t states_in_violation = 0;
  /// Of the first such states, what does not hold.
  std::vector<std::string> violations;
};

/// Called after each state.
using power_cut_progress = std::function<void(const power_cut_summary&)>;

/// Recordings come in pairs: one that begins with nothing, and one of a second run on a state that a power
/// cut in the first has left, or the death of its process alone. Half of the pairs have three publishing
/// threads, where the history is one of logs; in each pair, one recording has a thread that seals. Of some
/// second runs all moments of their opening are cut at: a crash of the recovery from a crash. One state in
/// ten is that of a process that has died. Must not be called while other threads run. Throws
/// `std::logic_error` when the recording is not complete.
[[nodiscard]] power_cut_summary run_power_cuts(const power_cut_options& options,
                                               const power_cut_progress& progress = {});

/// Some lines for people: what was done, injected and found.
[[nodiscard]] std::string to_text(const power_cut_summary& s);

}  // namespace levada::crash
