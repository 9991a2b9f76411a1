#pragma once

/// @file
/// Reading records wherever they stand: in segments, or in the journal.

#include <cstdint>
#include <functional>
#include <optional>

#include "log/batch_builder.hpp"
#include "log/journal_reader.hpp"
#include "log/log_state.hpp"
#include "log/sealed_reader.hpp"

namespace levada::log {

/// How far a pass over all partitions of a log has come.
struct log_position {
  /// The first row of the journal whose records have not been read.
  std::uint64_t sequence = 0;
  /// The pass over the segments, while it is there.
  std::optional<sealed_merge> sealed = std::nullopt;
};

/// The first row of the journal that has to be read so that no record at or after `time` (microseconds) is
/// missed.
[[nodiscard]] std::uint64_t sequence_before(const log_state& log, std::int64_t time);

/// Reads for the time of one library call; holds an LMDB read transaction once it has needed the journal. Not
/// safe to share.
class log_reader {
 public:
  /// `catch_up` is called where a segment's file has been deleted, to bring the logs' state up to date.
  using catch_up_function = std::function<result<void>()>;
  explicit log_reader(const storage::main_environment& main, catch_up_function catch_up = {}) noexcept
      : main_{main}, catch_up_{std::move(catch_up)} {}

  /// Whether checksums of sealed records are verified; they are unless this says no.
  void verify(bool whether) noexcept { verify_ = whether; }

  /// Adds records of one partition, from offset `from` up to the committed end as known to `log`, or until
  /// the batch is full. Moves `from` behind what it adds, also when it fails after that. Fails with
  /// `overtaken` where `from` lies before the log's beginning; this and the other calls fail with
  /// `unknown_topic` once the log has been deleted.
  [[nodiscard]] result<void> read_partition(const log_state& log, std::uint32_t partition,
                                            std::uint64_t& from, batch_builder& out);
  /// Adds records of all partitions in commit order, up to but not including those of row `until`, or until
  /// the batch is full. Records before `not_before` (microseconds) are left out. Moves `from` behind what it
  /// adds or passes over, also when it fails after that.
  [[nodiscard]] result<void> read_log(const log_state& log, log_position& from, std::uint64_t until,
                                      std::int64_t not_before, batch_builder& out);
  /// The offset of the first record of a partition at or after `time`; its end when there is none.
  [[nodiscard]] result<std::uint64_t> find_time(const log_state& log, std::uint32_t partition,
                                                std::int64_t time);

  /// The journal's part.
  [[nodiscard]] result<journal_reader*> journal();

 private:
  /// Segments whose file was found deleted, one after the other: how often that may be because the log's
  /// state is being changed at this moment.
  static constexpr int gone_max = 3;
  [[nodiscard]] static result<void> check_exists(const log_state& log);
  [[nodiscard]] result<void> count_gone(const log_state& log, const storage::segment_entry::part* part);

  const storage::main_environment& main_;
  const catch_up_function catch_up_;
  std::optional<journal_reader> journal_;
  int gone_ = 0;
  bool verify_ = true;
};

}  // namespace levada::log
