#pragma once

/// @file
/// Reading records out of the journal: the newer part of all logs.

#include <cstdint>
#include <optional>

#include "log/batch_builder.hpp"
#include "log/log_pass.hpp"
#include "log/log_state.hpp"
#include "storage/main_environment.hpp"

namespace levada::log {

/// A snapshot of the journal for the time of one library call: it holds an LMDB read transaction. Not safe to
/// share.
class journal_reader {
 public:
  [[nodiscard]] static result<journal_reader> open(const storage::main_environment& main);

  /// The snapshot that it reads.
  [[nodiscard]] const storage::read_transaction& snapshot() const noexcept { return txn_; }

  /// Adds records of one partition, from offset `from` up to `until` or the committed end as known to `log`,
  /// or until the batch is full or a segment holds what comes next. Moves `from` behind what it adds, also
  /// when it fails after that.
  [[nodiscard]] result<void> read_partition(const log_state& log, std::uint32_t partition,
                                            std::uint64_t& from, std::uint64_t until, batch_builder& out);
  /// Adds records of a pass, up to but not including those of row `until`, or until the batch is full, or
  /// where a row is in segments by now. Moves the pass behind what it adds or passes over, and behind a row
  /// that it cannot read.
  [[nodiscard]] result<void> read_pass(log_pass& pass, std::uint64_t until, batch_builder& out);
  /// The offset of the first record of a partition in the journal, from offset `from` on, at or after `time`;
  /// its end when there is none.
  [[nodiscard]] result<std::uint64_t> find_time(const log_state& log, std::uint32_t partition,
                                                std::int64_t time, std::uint64_t from = 0);

  /// The sequence of the last row; 0 where there is none.
  [[nodiscard]] result<std::uint64_t> last_sequence();

  /// The offset behind the row that reading has failed with at offset `from`.
  [[nodiscard]] std::uint64_t behind_row(std::uint64_t from) const noexcept;

  /// Calls `each(row)` for the rows from sequence `from` on, until the end or until it returns false.
  template <class Each>
  [[nodiscard]] result<void> for_each_row(std::uint64_t from, Each each) {
    for (auto found = seek(from);; found = next()) {
      if (!found) return found.error();
      if (!*found || !each(row_)) return {};
    }
  }

 private:
  journal_reader(storage::read_transaction txn, storage::cursor cursor) noexcept
      : txn_{std::move(txn)}, cursor_{std::move(cursor)} {}

  /// Moves to the first row at or after `sequence`; false at the end.
  [[nodiscard]] result<bool> seek(std::uint64_t sequence);
  [[nodiscard]] result<bool> next();
  [[nodiscard]] result<bool> take(result<std::optional<storage::cursor::entry>> at);
  /// Adds the row's records from the `skip`-th on, at most `most`. The cursor stands on a row that begins
  /// records.
  [[nodiscard]] result<void> add_row(const log_state& log, std::uint64_t skip, std::uint64_t most,
                                     batch_builder& out);
  [[nodiscard]] result<void> add_continued(const log_state& log, batch_builder& out);

  /// The place in the row that the cursor stands on of the first record at or after `time` that does not
  /// belong to the `skip` first; how many records it has when there is none.
  [[nodiscard]] result<std::uint64_t> find_in_row(const log_state& log, std::uint64_t skip,
                                                  std::int64_t time) const;

  storage::read_transaction txn_;
  storage::cursor cursor_;
  storage::row_view row_;
  bool at_row_ = false;
};

}  // namespace levada::log
