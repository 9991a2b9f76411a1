#pragma once

/// @file
/// Queues under SIGKILL: each message is in one place, whatever it has been through.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace levada::crash {

struct queueing_options {
  std::uint64_t seed = 1;
  std::uint64_t kills = 10;
  /// Makes dead letters by hand, in two steps, instead of leaving that to the queue: what is killed between
  /// the two is doubled, which must show.
  bool planted_two_steps = false;
};

struct queueing_summary {
  std::uint64_t kills = 0;
  /// Of a process that had settled something.
  std::uint64_t kills_with_progress = 0;
  std::uint64_t published = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t dead_letters = 0;
  std::uint64_t left = 0;
  std::vector<std::string> violations;
};

using queueing_progress = std::function<void(const queueing_summary&)>;

/// A process publishes numbered messages, some with a delay, to a queue with priorities that is bounded, lets
/// some expire, limits deliveries and has returned ones wait, and handles them: acknowledges, rejects,
/// returns. It is killed at a random moment, and the next one goes on. At the end each message whose
/// publication was confirmed must have been acknowledged, or be in the queue, or among the dead letters, and
/// be in one of these places once; none may be delivered after its acknowledgement was confirmed. Must not be
/// called while other threads run.
[[nodiscard]] queueing_summary run_queueing_kills(const queueing_options& options,
                                                  const queueing_progress& progress = {});

[[nodiscard]] std::string to_text(const queueing_summary& s);

}  // namespace levada::crash
