#pragma once

/// @file
/// The sealed records of many partitions, merged into the order in which they were committed.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "log/batch_builder.hpp"
#include "log/sealed_reader.hpp"

namespace levada::log {

struct log_pass;

/// The part of a pass that goes through segments. Not safe to share.
class sealed_merge {
 public:
  explicit sealed_merge(bool verify) : verify_{verify} {}

  /// Adds records of rows before row `until`, until the batch is full. Moves the positions of `pass` behind
  /// what it adds, and its sequence up to what comes next, or to `until` when nothing is left before that.
  /// Fails with `damaged`, naming the offsets that cannot be read; the positions are behind them then.
  [[nodiscard]] result<sealed_outcome> read(log_pass& pass, std::uint64_t until, batch_builder& out);

  /// A part of a segment, and the place in the pass of the log that it belongs to.
  struct part_of_log {
    std::size_t log = 0;
    storage::segment_entry::part where;
  };
  /// What the last outcome `gone` was about.
  [[nodiscard]] const part_of_log& gone() const noexcept { return gone_; }

 private:
  /// The pass over one partition.
  struct stream {
    std::size_t log = 0;  // its place in the pass
    std::uint32_t partition = 0;
    std::optional<part_reader> reader;
    std::size_t run = 0;
    std::uint64_t run_offset = 0;         // of the current run's first record
    const std::byte* run_data = nullptr;  // its records
    opened_batch batch;

    [[nodiscard]] bool ended() const noexcept { return !batch.records; }
    [[nodiscard]] const storage::batch_run& current() const noexcept { return batch.view.runs[run]; }
    [[nodiscard]] std::uint64_t sequence() const noexcept { return current().sequence; }
  };

  [[nodiscard]] result<sealed_outcome> start(log_pass& pass);
  /// Moves to the run that holds the next record, or ends the stream.
  [[nodiscard]] result<sealed_outcome> settle(log_pass& pass, stream& s);
  [[nodiscard]] result<sealed_outcome> enter_part(log_pass& pass, stream& s);
  /// Adds what is wanted of the current run; false when the batch has no room for all of it.
  [[nodiscard]] result<bool> add_run(log_pass& pass, stream& s, batch_builder& out);

  bool verify_;
  bool started_ = false;
  part_of_log gone_;
  /// What was sealed when the streams were opened: one that ended may go on behind it.
  std::uint64_t started_until_ = 0;
  std::vector<stream> streams_;
  /// Where a stream stands; small, as they are moved about with every run.
  struct place {
    std::uint64_t sequence = 0;
    std::size_t stream = 0;
  };
  std::vector<place> heap_;  // of the streams that have not ended, the least sequence in front
};

}  // namespace levada::log
