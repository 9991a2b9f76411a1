#pragma once

/// @file
/// Making a damaged store whole again, without what is lost.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/table_key.hpp>
#include <levada/types.hpp>

namespace levada {

/// How a store is repaired.
struct repair_options {
  /// Only tell what would be lost; change nothing. Default: no.
  bool dry_run = false;
  /// As `bus_options::map_bytes_max`.
  std::size_t map_bytes_max = std::size_t{64} << 30;
  /// As `bus_options::boot_id`. Default: the kernel's.
  std::string boot_id = {};
};

/// Records that are lost: all that stood from `first` up to, not including, `end`.
struct lost_records {
  topic_partition where;
  offset first;
  offset end;
  /// Which file or row was damaged, and how.
  std::string why;
};

/// Messages that a queue, or a share group, can no longer deliver, because their records are lost.
struct lost_messages {
  /// The queue's name, or the group's.
  std::string queue;
  std::uint64_t count = 0;
  bool of_share_group = false;
};

/// A value of a host's table that is lost.
struct lost_value {
  std::string table;
  /// Nothing where it cannot be read either.
  std::optional<table_key> key;
  std::string why;
};

/// What was wrong, and what a repair has dropped, or would drop.
struct repair_report {
  /// By topic, partition and offset.
  std::vector<lost_records> records;
  /// By queue.
  std::vector<lost_messages> messages;
  /// By table and key.
  std::vector<lost_value> values;
  /// Segments that were written anew without what is damaged, or given up.
  std::uint64_t segments = 0;
  /// Delayed messages that will never be routed, because their records, or their place in the schedule, are
  /// lost.
  std::uint64_t delayed = 0;
  /// Tickets that are lost, or did not tell what becomes of their messages; what nobody has any more, counts
  /// as discarded.
  std::uint64_t tickets = 0;
  /// Rows of the journal that were damaged.
  std::uint64_t rows = 0;

  /// Whether the store is sound.
  [[nodiscard]] bool sound() const noexcept {
    return records.empty() && messages.empty() && values.empty() && segments == 0 && delayed == 0 &&
           tickets == 0 && rows == 0;
  }
};

/// Drops what is damaged in the store in `directory`, which nobody may have open, and says what is lost. What
/// is left is intact and in its place: offsets stay what they are, and those that are lost are never used
/// again; groups, queues and jobs go on behind them. Nothing is made up. A sound store is left as it is; a
/// crash in the middle leaves the store damaged as before, or repaired.
///
/// Fails with `damaged`, naming the page, where the pages of the main file itself do not hold together: what
/// belongs together cannot be told then; restore a backup. Fails with what opening a store fails with, so
/// with `store_in_use` and `recovery_needed`, and with `disk_full`: it writes the rest of each damaged
/// segment anew before it gives the old one up.
[[nodiscard]] LEVADA_EXPORT result<repair_report> repair_store(const std::filesystem::path& directory,
                                                               const repair_options& options = {});

}  // namespace levada
