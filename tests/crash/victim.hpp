#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>

#include <crash/history.hpp>

namespace levada::crash {

/// Lies that the victim can be told to tell, to see that they are found out.
enum class planted_fault {
  none,
  /// A record is reported as stored before it is published.
  ack_before_publish,
  /// Now and then a record is reported as stored and never published.
  ack_without_publish,
  /// Messages are reported as settled and never acked.
  settle_without_ack,
  /// Offsets are reported as committed and never are.
  commit_without_commit,
  /// Dead letters are made by publishing a copy and then acking the message.
  dead_letter_in_two_steps,
};

/// Who seals the journal.
enum class sealing {
  /// The victim, with `bus::maintain` now and then, and in some runs publishers that find the journal full.
  on_call,
  /// A thread of the bus, each 20 KB or so, and the victim as well.
  in_background,
};

struct victim_options {
  std::filesystem::path directory;
  workload work = workload::logs;
  std::uint64_t seed = 1;
  /// The how-manieth run on this store, from 1: names its records apart from those of other runs.
  std::uint32_t run = 1;
  std::uint64_t operations = 150;
  /// After so many operations the bus is closed and opened again.
  std::uint64_t operations_per_life = 60;
  durability mode = durability::synced;
  /// The run of the system in which it works.
  std::string boot_id = "boot 1";
  /// Of histories of logs: with more than one, the others publish meanwhile, most while there is a call of
  /// `bus::maintain`.
  std::uint32_t threads = 1;
  /// When, and what gets segments of its own, comes from the seed.
  sealing seals = sealing::on_call;
  /// Of histories of logs, of 60 to 120 KB, which a third of the runs publish at once and then seal: with 20,
  /// their rows are erased in more than one commit; with 110, their segment is written in more than one.
  std::uint64_t burst_records = 20;
  planted_fault planted = planted_fault::none;
};

/// Receives the lines of the history, one at a time.
using line_sink = std::function<void(const std::string& line)>;

/// Works on a store through the public interface: declares, publishes, reads as a group, takes from queues,
/// seals, deletes, compacts, syncs; or as `run_queueing_victim` says. Tells before and after each operation
/// (see `history.hpp`). With one thread that also seals, the same seed on the same store does the same.
/// Throws `levada::exception` when an operation fails, and `std::invalid_argument` for a fault that the work
/// has no occasion for.
void run_victim(const victim_options& options, const line_sink& line);

/// So large that a run lasts until it is killed.
inline constexpr std::uint64_t operations_without_end = std::numeric_limits<std::uint64_t>::max();

}  // namespace levada::crash
