#pragma once

/// @file
/// Reading records out of segments, without copying them.

#include <cstdint>
#include <optional>
#include <vector>

#include "log/batch_builder.hpp"
#include "log/log_state.hpp"
#include "log/sealed_segment.hpp"

namespace levada::log {

/// What became of a read.
enum class sealed_outcome {
  done,
  /// The segment's file has been deleted: the log's state is older than the store's.
  gone,
};

/// Adds the records of one part from offset `from` on, until the part ends or the batch is full. Moves `from`
/// behind what it adds, and behind the part when that is through. Fails with `damaged`, naming the offsets
/// that cannot be read.
[[nodiscard]] result<sealed_outcome> read_part(const log_state& log, const sealed_part& part,
                                               std::uint64_t& from, batch_builder& out, bool verify = true);

/// Finds the first record of a part, not before offset `from`, with a time at or after `time`, and sets
/// `from` to it, or to the part's end when there is none.
[[nodiscard]] result<sealed_outcome> find_time_in_part(const log_state& log, const sealed_part& part,
                                                       std::int64_t time, std::uint64_t& from);

/// A pass over the sealed records of all partitions of a log in commit order. Not safe to share.
class sealed_merge {
 public:
  /// Begins at the first record whose journal row was `from` or later.
  explicit sealed_merge(std::uint64_t from, bool verify = true) : next_{from}, verify_{verify} {}

  /// The sequence at which `read` goes on.
  [[nodiscard]] std::uint64_t next() const noexcept { return next_; }

  /// Adds records of rows before `until`, until the batch is full; moves `next()` behind what it adds, and to
  /// `until` when nothing is left before it. Records before `not_before` (microseconds) are left out.
  [[nodiscard]] result<sealed_outcome> read(const log_state& log, std::uint64_t until,
                                            std::int64_t not_before, batch_builder& out);

 private:
  /// The pass over one partition.
  struct stream {
    std::uint32_t partition = 0;
    std::shared_ptr<const storage::segment_file> file;
    std::optional<storage::segment_reader> reader;
    storage::segment_entry::part part;
    std::optional<storage::batch_view> batch;
    std::size_t run = 0;
    std::uint64_t run_offset = 0;         // of the current run's first record
    const std::byte* run_data = nullptr;  // its records
    std::shared_ptr<const void> owner;    // what they stand in

    [[nodiscard]] std::uint64_t sequence() const noexcept { return batch->runs[run].sequence; }
  };

  [[nodiscard]] result<sealed_outcome> start(const log_state& log);
  /// Opens the part that holds the first row at or after `sequence`; without one the stream ends.
  [[nodiscard]] result<sealed_outcome> open_part(const log_state& log, stream& s, std::uint64_t sequence);
  [[nodiscard]] result<void> enter_batch(const log_state& log, stream& s,
                                         result<std::optional<storage::batch_view>> batch);
  [[nodiscard]] result<sealed_outcome> advance(const log_state& log, stream& s);

  std::uint64_t next_;
  bool verify_;
  /// What was sealed when the streams were opened: one that ended may go on behind it.
  std::uint64_t started_until_ = 0;
  bool started_ = false;
  std::vector<stream> streams_;  // a heap, the least sequence in front
};

}  // namespace levada::log
