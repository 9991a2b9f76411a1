#pragma once

/// @file
/// Packs records into rows, ready to be stored: all that can be done outside of the commit is done here.

#include <cstdint>
#include <vector>

#include "log/record_codec.hpp"
#include "storage/row.hpp"

namespace levada::log {

/// The rows of one partition within one intent. Not safe to share.
class row_encoder {
 public:
  row_encoder(std::uint32_t log, std::uint32_t partition) noexcept : log_{log}, partition_{partition} {}

  /// Appends a record: to the row under way if it fits, else to a new one; larger than a row, it gets rows of
  /// its own and continues through them. Either all records have times of their own, or none.
  void add(const record_source& source);

  [[nodiscard]] std::uint32_t log() const noexcept { return log_; }
  [[nodiscard]] std::uint32_t partition() const noexcept { return partition_; }
  [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
  [[nodiscard]] std::size_t rows() const noexcept { return rows_.size(); }
  /// Bytes of all rows.
  [[nodiscard]] std::size_t bytes() const noexcept { return buffer_.size(); }
  void clear() noexcept;
  /// The same, to go on with another partition of the log.
  void begin_anew(std::uint32_t partition) noexcept {
    clear();
    partition_ = partition;
  }
  /// Bytes of memory that it keeps, also when it is empty.
  [[nodiscard]] std::size_t capacity() const noexcept {
    return buffer_.capacity() + rows_.capacity() * sizeof(row);
  }

  /// What is known only at the commit.
  struct stamp {
    std::uint64_t sequence = 0;
    std::uint64_t base_offset = 0;
    std::int64_t time = 0;
    std::uint32_t epoch = 0;
  };
  /// Completes the i-th row and returns it. `at.sequence` and `at.base_offset` are those of the first row;
  /// rows are stamped in order, and may be stamped again when a commit is repeated.
  [[nodiscard]] storage::bytes stamped_row(std::size_t i, const stamp& at);
  /// The largest time of a record in the i-th row, stamped so.
  [[nodiscard]] std::int64_t time_last(std::size_t i, const stamp& at) const noexcept {
    return rows_[i].timed ? rows_[i].time_last : at.time;
  }
  /// How many records begin in the i-th row.
  [[nodiscard]] std::uint32_t records_in(std::size_t i) const noexcept { return rows_[i].count; }
  /// The records in the i-th row, as encoded, or the part of a large one that it holds.
  [[nodiscard]] storage::bytes records_of(std::size_t i) const noexcept;
  /// Finishes the row under way. Idempotent; to be called before stamping.
  void finish() noexcept;

 private:
  struct row {
    std::size_t begin;  // of its header in the buffer
    std::uint32_t records_size = 0;
    std::uint32_t count = 0;
    std::uint64_t first_record = 0;  // its number within this encoder
    std::uint64_t hash = 0;
    std::int64_t time_first = 0;  // where `timed`: else they are those of the stamp
    std::int64_t time_last = 0;
    bool timed = false;
    std::uint32_t fragment = 0;
    storage::continuation continued = storage::continuation::whole;

    void note_time(std::int64_t time) noexcept;
  };

  row& begin_row();
  void add_large(const record_source& source);

  std::uint32_t log_;
  std::uint32_t partition_;
  std::uint64_t records_ = 0;
  bool open_ = false;  // whether the last row may take more records
  std::vector<row> rows_;
  std::vector<std::byte> buffer_;
};

}  // namespace levada::log
