#pragma once

/// @file
/// Sealing: the records of a prefix of the journal, written into segments. A topic that has enough there gets
/// a segment of its own; the others share one.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "log/segment_builder.hpp"
#include "storage/catalog.hpp"
#include "storage/codec.hpp"
#include "storage/main_environment.hpp"

namespace levada::log {

/// What is to be sealed, and how.
struct seal_request {
  /// Where segments stand, and the rest of what is needed for them; their rows are consecutive, and none of
  /// them is sealed. The size follows from the rows.
  new_segments::options target;
  /// Bytes of rows from which on a log gets a segment of its own.
  std::uint64_t own_segment_bytes = 0;
  /// The oldest offset that is still wanted of a log's partition; nothing for a log that has been deleted.
  std::function<std::optional<std::uint64_t>(std::uint32_t log, std::uint32_t partition)> begin_of;
  /// How a log's records are stored; empty: plain.
  std::function<storage::codec(std::uint32_t log)> codec_of;
};

/// Segments that stand in their directory under their names, but in no catalogue yet.
struct sealed_prefix {
  std::vector<storage::segment_entry> segments;
  /// The last row that was sealed: before the last one asked for where a record goes on behind it.
  std::uint64_t sequence_last = 0;
  /// Bytes of the rows, and of those of each log.
  std::uint64_t bytes = 0;
  std::map<std::uint32_t, std::uint64_t> log_bytes;
};

/// Writes the segments. Reads the journal in short transactions, so that writers can go on. A failure leaves
/// no file behind; `damaged` where a row fails its checksum.
[[nodiscard]] result<sealed_prefix> seal(const storage::main_environment& main, const seal_request& request);

}  // namespace levada::log
