#pragma once

/// @file
/// Reading records out of segments, without copying them unless they are compressed.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

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

/// A batch whose records can be read.
struct opened_batch {
  storage::batch_view view;
  const std::byte* records = nullptr;
  std::shared_ptr<const void> owner;  // what they stand in
};

/// Goes through the batches of one part of a segment. Not safe to share.
class part_reader {
 public:
  /// Null where the segment's file is gone. Fails with `damaged`, naming the part.
  [[nodiscard]] static result<std::optional<part_reader>> open(const log_state& log, const sealed_part& part,
                                                               bool verify);

  [[nodiscard]] const storage::segment_entry::part& where() const noexcept { return part_.where; }

  /// The batch that holds `offset`, else the next one; nothing behind the part's last. Fails with `damaged`
  /// for one that cannot be read, and where records are missing.
  [[nodiscard]] result<std::optional<opened_batch>> find(std::uint64_t offset);
  [[nodiscard]] result<std::optional<opened_batch>> next();
  /// The first batch behind which, in the part, is none with a record at or after `time` before it.
  [[nodiscard]] result<std::optional<opened_batch>> find_time(std::int64_t time);
  /// The offset behind what the last failure was about.
  [[nodiscard]] std::uint64_t behind_damage() const noexcept { return behind_damage_; }

 private:
  using found_batch = result<std::optional<storage::batch_view>>;
  part_reader(const log_state& log, sealed_part part, std::shared_ptr<const storage::segment_file> file,
              storage::segment_reader reader, bool verify)
      : log_{&log},
        part_{std::move(part)},
        file_{std::move(file)},
        reader_{std::move(reader)},
        verify_{verify} {}
  [[nodiscard]] result<std::optional<opened_batch>> opened(const found_batch& batch);
  [[nodiscard]] error damaged(const storage::batch_view& batch, const char* what);

  const log_state* log_;
  sealed_part part_;
  std::shared_ptr<const storage::segment_file> file_;
  storage::segment_reader reader_;
  bool verify_;
  std::uint64_t expected_ = 0;  // the offset that the next batch begins with, unless the part is sparse
  std::uint64_t behind_damage_ = 0;
};

/// That offsets of a log cannot be read.
[[nodiscard]] error damaged_offsets(const log_state& log, std::uint32_t partition, std::uint64_t first,
                                    std::uint64_t end, std::string_view what);

/// Adds the records of one part from offset `from` on, until the part or `until` is reached or the batch is
/// full. Moves `from` behind what it adds, and behind the part when that is through. Fails with `damaged`,
/// naming the offsets that cannot be read; `behind_damage` is the offset behind them then.
[[nodiscard]] result<sealed_outcome> read_part(const log_state& log, const sealed_part& part,
                                               std::uint64_t& from, std::uint64_t until, batch_builder& out,
                                               bool verify, std::uint64_t& behind_damage);

/// Finds the first record of a part, not before offset `from`, with a time at or after `time`, and sets
/// `from` to it, or to the part's end when there is none.
[[nodiscard]] result<sealed_outcome> find_time_in_part(const log_state& log, const sealed_part& part,
                                                       std::int64_t time, std::uint64_t& from);

}  // namespace levada::log
