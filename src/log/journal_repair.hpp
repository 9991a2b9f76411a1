#pragma once

/// @file
/// Reading a journal that may be damaged: what can be read of it, and what is lost.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "log/lost_range.hpp"
#include "log/segment_builder.hpp"
#include "storage/catalog.hpp"
#include "storage/main_environment.hpp"

namespace levada::log {

/// A partition as it is known before its rows are read.
struct expected_partition {
  std::uint64_t begin = 0;      ///< the oldest offset that is wanted
  std::uint64_t end = 0;        ///< where its rows go on behind what is sealed or removed
  std::uint64_t known_end = 0;  ///< all offsets below have certainly been given
  std::string known_from = {};  ///< who names that end
};

/// What the journal is expected to hold.
struct journal_request {
  /// Rows up to this one are dead.
  std::uint64_t sealed = 0;
  /// Ids from this one on have never been given.
  std::uint32_t next_id = 0;
  /// The logs there are, by id, with their partitions.
  std::map<std::uint32_t, std::vector<expected_partition>> logs;
};

/// What was found.
struct journal_findings {
  /// Whether anything is wrong.
  bool damaged = false;
  /// How many rows were damaged or missing.
  std::uint64_t rows = 0;
  std::vector<lost_range> lost;
  /// The last row there is, or has been as far as is known.
  std::uint64_t sequence_last = 0;
  /// Bytes of records by log, and of all.
  std::map<std::uint32_t, std::uint64_t> log_bytes;
  std::uint64_t bytes = 0;
  /// The largest time in a row by log, in microseconds since 1970.
  std::map<std::uint32_t, std::int64_t> times;
  /// Where the logs end, by partition.
  std::map<std::uint32_t, std::vector<std::uint64_t>> ends;
};

/// Takes what is found, in the order of each partition's offsets.
struct journal_sink {
  /// Records that can be read.
  std::function<result<void>(const record_run& run)> records;
  /// Records that cannot; with the row up to which the journal has been read.
  std::function<result<void>(const lost_range& range, std::uint64_t sequence)> lost;
};

/// Reads all rows that are not dead. Fails only where the journal cannot be read at all, or with what the
/// sink fails with.
///
/// Rows of which a single field of the header is damaged are told by their checksum, which holds for no other
/// value of it; they are damaged rows of which nothing is lost. A row whose place cannot be told is missed
/// when the next one of its partition comes, or where something else in the store names an offset behind it.
[[nodiscard]] result<journal_findings> read_damaged_journal(const storage::main_environment& main,
                                                            const journal_request& request,
                                                            const journal_sink& sink = {});

}  // namespace levada::log
