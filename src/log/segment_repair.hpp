#pragma once

/// @file
/// Examining a segment batch by batch, and writing what is left of a damaged one anew.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "log/lost_range.hpp"
#include "log/segment_builder.hpp"
#include "storage/catalog.hpp"
#include "storage/segment_salvage.hpp"

namespace levada::log {

/// A segment that is damaged, and what can still be read of it.
class damaged_segment {
 public:
  /// Looks at every record of the segment; nothing where all of them are as the catalogue has them. Fails
  /// where the file cannot be read for another reason than damage.
  [[nodiscard]] static result<std::optional<damaged_segment>> examine(const std::filesystem::path& directory,
                                                                      const storage::segment_entry& entry,
                                                                      const begin_function& begin_of);

  [[nodiscard]] const storage::segment_entry& entry() const noexcept { return entry_; }
  /// The records that are lost, of those that are still wanted.
  [[nodiscard]] const std::vector<lost_range>& lost() const noexcept { return lost_; }
  /// Whether anything of it is still wanted.
  [[nodiscard]] bool needed() const noexcept { return !wanted_.empty(); }

  /// Writes the rest into a segment that answers for the same offsets, under its name; `target` names
  /// directory, id and time. A failure leaves no file behind.
  [[nodiscard]] result<std::vector<storage::segment_entry>> write(new_segments::options target);

 private:
  /// A part of which something is wanted.
  struct wanted_part {
    storage::segment_entry::part where;  ///< from the first offset that is wanted on
    std::vector<std::size_t> batches;    ///< of the salvage, in order
    bool incomplete = false;
  };
  damaged_segment(storage::segment_entry entry, std::string why)
      : entry_{std::move(entry)}, why_{std::move(why)} {}

  [[nodiscard]] result<void> salvage(const std::filesystem::path& file, bool whole_tree,
                                     const begin_function& begin_of);
  [[nodiscard]] result<void> take_part(const storage::segment_entry::part& part, std::uint64_t begin,
                                       bool whole_tree);
  void lose(const wanted_part& of, std::uint64_t first, std::uint64_t end);

  storage::segment_entry entry_;
  std::string why_;
  std::optional<storage::segment_salvage> file_;  // nothing where it is missing, or another segment's
  std::vector<wanted_part> wanted_;
  std::vector<lost_range> lost_;
  std::uint64_t bytes_ = 0;  // of the records that are left, decompressed
};

}  // namespace levada::log
