#pragma once

/// @file
/// SIGKILL at random moments, and going on with what is left.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <crash/history.hpp>
#include <crash/victim.hpp>

namespace levada::crash {

struct kill_options {
  workload work = workload::logs;
  std::uint64_t seed = 1;
  std::uint64_t kills = 30;
  /// How many kills one store has to live through, its creation included.
  std::uint64_t kills_per_store = 10;
  planted_fault planted = planted_fault::none;
};

struct kill_summary {
  std::uint64_t kills = 0;
  std::uint64_t stores = 0;
  /// Before the store was there for good.
  std::uint64_t kills_in_creation = 0;
  /// With an operation begun and not acknowledged.
  std::uint64_t kills_in_operation = 0;
  /// Segments that the killed processes had named.
  std::uint64_t segments = 0;
  /// That left a file of a segment which is not part of the store.
  std::uint64_t kills_in_sealing = 0;
  /// Of a bus in the `checkpointed` mode, which the death of its process costs nothing either.
  std::uint64_t kills_with_checkpoints = 0;
  /// What the stores were compared with, all together.
  acknowledgements checked;
  std::uint64_t kills_in_violation = 0;
  std::vector<std::string> violations;
};

using kill_progress = std::function<void(const kill_summary&)>;

/// A process works on a store and is killed right after one of its lines, or up to 2 ms later, often in a
/// sealing; the store is checked against everything told so far; the next process goes on. Must not be called
/// while other threads run. A kill leaves the page cache alone, so this shows atomicity; `power_cut.hpp`
/// shows durability.
[[nodiscard]] kill_summary run_kills(const kill_options& options, const kill_progress& progress = {});

[[nodiscard]] std::string to_text(const kill_summary& s);

}  // namespace levada::crash
