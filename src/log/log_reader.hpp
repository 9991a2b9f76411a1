#pragma once

/// @file
/// Reading records wherever they stand: in segments, or in the journal.

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "log/batch_builder.hpp"
#include "log/journal_reader.hpp"
#include "log/log_pass.hpp"
#include "log/log_state.hpp"
#include "log/sealed_reader.hpp"

namespace levada::log {

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

  /// Adds records of one partition, from offset `from` up to `until` or the committed end as known to `log`,
  /// or until the batch is full. Moves `from` behind what it adds, also when it fails after that. Fails with
  /// `overtaken` where `from` lies before the log's beginning; this and the other calls fail with
  /// `unknown_topic` once the log has been deleted, and with `damaged`, naming the offsets, where records
  /// cannot be read: `behind_damage()` is the offset behind them then.
  [[nodiscard]] result<void> read_partition(const log_state& log, std::uint32_t partition,
                                            std::uint64_t& from, batch_builder& out,
                                            std::uint64_t until = log_pass::no_end);
  [[nodiscard]] std::uint64_t behind_damage() const noexcept { return behind_damage_; }
  /// Adds records of a pass in commit order, up to but not including those of row `until`, or until the batch
  /// is full. Moves the pass behind what it adds, and behind what it fails with: with `overtaken` once for
  /// each partition whose records have been removed meanwhile, with `damaged` for each range that cannot be
  /// read.
  [[nodiscard]] result<void> read_pass(log_pass& pass, std::uint64_t until, batch_builder& out);
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
  [[nodiscard]] static result<void> check_pass(log_pass& pass);
  [[nodiscard]] result<void> count_gone(const log_state& log, const storage::segment_entry::part& part);

  const storage::main_environment& main_;
  const catch_up_function catch_up_;
  std::optional<journal_reader> journal_;
  int gone_ = 0;
  std::uint64_t behind_damage_ = 0;
  bool verify_ = true;
};

}  // namespace levada::log
