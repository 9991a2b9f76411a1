#pragma once

/// @file
/// Where a bus writes new segments, and how they become the store's.

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "bus/core.hpp"
#include "log/segment_builder.hpp"
#include "storage/scratch_directory.hpp"
#include "storage/segment_file.hpp"

namespace levada {

/// Segments that are written here belong to the store once a commit has named them; they are removed when it
/// is refused. Those of an in-memory bus lose their names at the end, and live as long as somebody has them
/// open. Not safe to share: used by maintenance alone.
class segment_place {
 public:
  using files = std::vector<std::shared_ptr<const storage::segment_file>>;

  [[nodiscard]] static result<segment_place> open(core& owner);

  /// What new segments are made with, but for the rows that they come from and their size.
  [[nodiscard]] log::new_segments::options target() const;
  /// The files that must be kept open from now on: all of an in-memory bus, none of another.
  [[nodiscard]] result<files> kept_open(const std::vector<storage::segment_entry>& written) const;
  /// Runs the intent that puts what was written into the catalogue.
  [[nodiscard]] result<void> hand_over(const core::access& access, std::string_view operation,
                                       const std::vector<storage::segment_entry>& written, intent& naming);

 private:
  explicit segment_place(core& owner) : owner_{owner}, directory_{owner.segments_directory()} {}

  core& owner_;
  std::filesystem::path directory_;
  std::optional<storage::scratch_directory> scratch_;
};

}  // namespace levada
