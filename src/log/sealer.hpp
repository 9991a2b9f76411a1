#pragma once

/// @file
/// Sealing: the records of a prefix of the journal, written into segments. A topic that has enough there gets
/// a segment of its own; the others share one.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "storage/catalog.hpp"
#include "storage/codec.hpp"
#include "storage/main_environment.hpp"

namespace levada::log {

/// What is to be sealed, and how.
struct seal_request {
  /// The rows: consecutive, none sealed before.
  std::uint64_t sequence_first = 0;
  std::uint64_t sequence_last = 0;
  /// Where segments stand.
  std::filesystem::path directory;
  /// Id of the first segment that is written; others follow.
  std::uint32_t next_id = 1;
  /// Bytes of rows from which on a log gets a segment of its own.
  std::uint64_t own_segment_bytes = 0;
  /// Bytes of rows after which a segment is finished and another begun, so that retention can give up one
  /// without the other.
  std::uint64_t segment_bytes_max = std::uint64_t{32} << 20;
  /// The time to record, in microseconds since 1970.
  std::int64_t now = 0;
  /// Whether files and names are to be durable at the end.
  bool sync = true;
  /// The oldest offset that is still wanted of a log's partition; nothing for a log that has been deleted.
  std::function<std::optional<std::uint64_t>(std::uint32_t log, std::uint32_t partition)> begin_of;
  /// How a log's records are stored; empty: plain.
  std::function<storage::codec(std::uint32_t log)> codec_of;
};

/// Segments that stand in their directory under their names, but in no catalogue yet.
struct sealed_prefix {
  std::vector<storage::segment_entry> segments;
  /// The last row that was sealed: before `sequence_last` where a record goes on behind it.
  std::uint64_t sequence_last = 0;
  /// Bytes of the rows.
  std::uint64_t bytes = 0;
};

/// Writes the segments. Reads the journal in short transactions, so that writers can go on. A failure leaves
/// no file behind; `damaged` where a row fails its checksum.
[[nodiscard]] result<sealed_prefix> seal(const storage::main_environment& main, const seal_request& request);

}  // namespace levada::log
