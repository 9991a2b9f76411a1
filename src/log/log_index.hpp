#pragma once

/// @file
/// Where the rows of one partition (or of a whole log) stand in the journal. Pure memory: rebuilt by one pass
/// over the journal, then kept up with every commit.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace levada::log {

/// A sparse index: entries lie at least `window` rows of the journal apart, so that its size follows the
/// journal's and not the number of partitions or records. Not safe to share; the owner locks.
class log_index {
 public:
  /// Rows of one partition that follow one another within a window of the journal, not necessarily as
  /// neighbours.
  struct entry {
    std::uint64_t sequence = 0;     ///< of the first row
    std::uint64_t base_offset = 0;  ///< of the first record
    std::int64_t time_max = 0;      ///< largest of the records in its rows and before
    std::uint32_t rows = 0;         ///< how many belong to the entry at most
  };
  /// How many rows of the journal one entry may span.
  static constexpr std::uint64_t window = 64;

  log_index() = default;
  /// One that has been saved.
  explicit log_index(std::vector<entry> entries) noexcept : entries_{std::move(entries)} {}

  /// Notes a row: sequences and offsets grow from call to call. `time_last` is the largest time of a record
  /// in it.
  void add(std::uint64_t sequence, std::uint64_t base_offset, std::int64_t time_last);

  /// Forgets the rows up to and including `sequence`; the first record behind them is `next_offset`.
  void drop_through(std::uint64_t sequence, std::uint64_t next_offset);

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] const entry& operator[](std::size_t i) const noexcept { return entries_[i]; }

  /// The last entry that begins at or before `offset`: the record, if it exists, is in its rows. Nothing in
  /// an empty index or before its beginning.
  [[nodiscard]] std::optional<std::size_t> find_offset(std::uint64_t offset) const noexcept;
  /// The first entry up to which there has been a record at or after `time`: the first such record that is
  /// left is in its rows or behind them. Nothing where there has been none.
  [[nodiscard]] std::optional<std::size_t> find_time(std::int64_t time) const noexcept;

 private:
  std::vector<entry> entries_;
};

}  // namespace levada::log
