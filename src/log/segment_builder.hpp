#pragma once

/// @file
/// Filling segments: records into batches, batches into parts, files into their directory.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "storage/catalog.hpp"
#include "storage/codec.hpp"
#include "storage/row.hpp"
#include "storage/segment_file.hpp"

namespace levada::log {

/// Records with consecutive offsets that stood in one row of the journal.
struct record_run {
  std::uint32_t log = 0;
  std::uint32_t partition = 0;
  std::uint64_t base_offset = 0;
  std::uint32_t count = 0;
  std::uint32_t epoch = 0;
  std::uint64_t sequence = 0;   ///< of the row
  std::int64_t time_first = 0;  ///< what the records' deltas are added to
  std::int64_t time_last = 0;   ///< no record is newer
  storage::bytes records;
};

/// The records of a row from the `skip`-th on, which is where `records` begins.
[[nodiscard]] inline record_run run_of_row(std::uint64_t sequence, const storage::row_header& header,
                                           std::uint32_t skip, storage::bytes records) noexcept {
  return {.log = header.log,
          .partition = header.partition,
          .base_offset = header.base_offset + skip,
          .count = header.count - skip,
          .epoch = header.epoch,
          .sequence = sequence,
          .time_first = header.time_first,
          .time_last = header.time_last,
          .records = records};
}

/// One segment under way, and the batch under way of each of its partitions. Not safe to share.
class segment_builder {
 public:
  segment_builder(storage::segment_writer writer, storage::segment_entry entry)
      : writer_{std::move(writer)}, entry_{std::move(entry)} {}

  /// Makes the segment answer for the offsets of `source`, whatever is added of them: a part of its own, or
  /// more of the one before where that ends where `source` begins.
  [[nodiscard]] result<void> begin_part(const storage::segment_entry::part& source, bool sparse);
  /// Adds records behind those of the same partition; `how` they are stored holds for a batch.
  [[nodiscard]] result<void> add(const record_run& run, storage::codec how);
  /// Writes what is under way and completes the file, still under its temporary name.
  [[nodiscard]] result<void> finish(bool sync);

  [[nodiscard]] storage::segment_entry& entry() noexcept { return entry_; }
  /// Bytes of records that it has taken.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  struct partition_state {
    std::vector<storage::segment_entry::part> parts;
    // The batch under way:
    storage::batch_key key;
    storage::batch_header header{};
    storage::codec how = storage::codec::none;
    std::vector<storage::batch_run> runs;
    std::vector<std::byte> records;
    std::int64_t time_max = std::numeric_limits<std::int64_t>::min();  // of the part up to here

    [[nodiscard]] std::size_t size() const noexcept {
      return sizeof header + runs.size() * sizeof(storage::batch_run) + records.size();
    }
  };
  [[nodiscard]] result<void> flush(partition_state& p);

  storage::segment_writer writer_;
  storage::segment_entry entry_;
  std::uint64_t bytes_ = 0;
  std::vector<std::byte> compressed_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, partition_state> partitions_;
};

/// Segments that are written together, under temporary names until all are complete. Unless they are
/// finished, nothing of them stays. Not safe to share.
class new_segments {
 public:
  struct options {
    /// Where segments stand.
    std::filesystem::path directory;
    /// Id of the first one; others follow.
    std::uint32_t next_id = 1;
    /// Bytes of records after which a segment is finished and another begun, so that retention can give up
    /// one without the other.
    std::uint64_t segment_bytes_max = std::uint64_t{32} << 20;
    /// The rows of the journal that they come from.
    std::uint64_t sequence_first = 0;
    std::uint64_t sequence_last = 0;
    /// Most bytes that all of them take.
    std::uint64_t bytes_max = 0;
    /// The time to record, in microseconds since 1970.
    std::int64_t now = 0;
    /// How often the records have been written anew.
    std::uint32_t generation = 0;
    /// Whether files and names are to be durable at the end.
    bool sync = true;
  };
  explicit new_segments(options how) : options_{std::move(how)} {}
  new_segments(const new_segments&) = delete;
  new_segments& operator=(const new_segments&) = delete;
  ~new_segments();

  /// The segment under way for what belongs to `group`: a new one where there is none, or it is full.
  [[nodiscard]] result<segment_builder*> segment_of(std::uint32_t group);
  /// Completes all, and gives them their names.
  [[nodiscard]] result<std::vector<storage::segment_entry>> finish();

 private:
  [[nodiscard]] std::filesystem::path temporary_path(std::uint32_t id) const;

  const options options_;
  std::deque<segment_builder> builders_;
  std::map<std::uint32_t, std::size_t> current_;  // the group's place in `builders_`
  std::vector<std::filesystem::path> files_;      // to be removed
};

}  // namespace levada::log
