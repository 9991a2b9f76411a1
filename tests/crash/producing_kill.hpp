#pragma once

/// @file
/// An idempotent producer under SIGKILL: whatever its host sends again is stored once.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace levada::crash {

/// What a host can be told to do wrong, to see that it is found out.
enum class producing_fault {
  none,
  /// It takes another id after each restart.
  fresh_id,
  /// It takes a record for stored as soon as it has sent it.
  learns_too_early,
};

struct producing_options {
  std::uint64_t seed = 1;
  std::uint64_t kills = 10;
  producing_fault planted = producing_fault::none;
};

struct producing_summary {
  std::uint64_t kills = 0;
  /// Of a process that had learnt of stored records.
  std::uint64_t kills_with_progress = 0;
  /// In the log.
  std::uint64_t records = 0;
  /// Records that were acknowledged, and that a later process has sent again.
  std::uint64_t acknowledged = 0;
  std::uint64_t sent_again = 0;
  std::vector<std::string> violations;
};

using producing_progress = std::function<void(const producing_summary&)>;

/// A process numbers records and sends them by a producer with an id, without waiting for each, to a topic of
/// some partitions; it is killed at a random moment. The next one sends again, under the same numbers,
/// whatever the one before had not learnt the result of, and goes on. At the end each number must be in the
/// log once, in the order of numbers within its partition, and where its receipt says. Must not be called
/// while other threads run.
[[nodiscard]] producing_summary run_producing_kills(const producing_options& options,
                                                    const producing_progress& progress = {});

[[nodiscard]] std::string to_text(const producing_summary& s);

}  // namespace levada::crash
