#pragma once

/// @file
/// What takes a store's room on the disk, and why it is not given back.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <levada/types.hpp>

namespace levada {

/// Why bytes are still there.
enum class space_reason : std::uint8_t {
  /// Sealed records of a topic that has no limit.
  no_limit,
  /// Sealed records that a topic's retention keeps, or gives up only with the rest of their segment.
  within_limits,
  /// Sealed records that retention would have given up, but for a message that a queue still refers to.
  queue_reference,
  /// The same for a message that waits to be routed (`publish_options::delay`).
  delayed_message,
  /// The same for what is still to be entered into a queue (`binding_options::from`, `bus::replay_into`).
  backfill,
  /// Sealed records that retention would have given up, but that a group has yet to read
  /// (`retention_policy::wait_for_readers`).
  lagging_group,
  /// The same for a job of another process.
  lagging_job,
  /// Records that nobody needs any more, in segments that also hold some that are needed: they are written
  /// anew when more than half is of no use. What maintenance has yet to come by for counts as well.
  awaits_rewriting,
  /// Records in the journal: they go with the next sealing.
  awaits_sealing,
  /// Files of segments that are no longer in the catalogue, until a checkpoint no longer names them.
  awaits_checkpoint,
  /// The same, but for batches or passes of this process that still read from them.
  held_view,
  /// Pages of the main file that were freed, and cannot be used again while a process holds an old snapshot.
  held_snapshot,
  /// Pages of the main file that are free: they are used again before the file grows.
  free_pages,
  /// Catalogue, offsets, queues, and what the formats of files need beside their content.
  bookkeeping,
};

/// A part of a store's disk use.
struct space_entry {
  space_reason reason = space_reason::bookkeeping;
  /// The topic or exchange whose records they are; empty where they are nobody's.
  std::string topic;
  /// Who keeps them: the name of a queue, group or job; the pid of a process.
  std::string holder;
  /// The oldest record that the holder needs.
  std::optional<partition_id> partition;
  std::optional<offset> oldest;
  std::uint64_t bytes = 0;
};

/// Where a store's room has gone.
struct space_report {
  /// Bytes that the store's files take on the disk, those without a name included: the blocks that the file
  /// system has set aside for them, as `du` counts them, not their lengths. Directories are left out.
  std::uint64_t bytes = 0;
  /// Adds up to `bytes`; the largest first.
  std::vector<space_entry> entries;
};

}  // namespace levada
