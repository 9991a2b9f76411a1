#pragma once

/// @file
/// The segments of a store as memory knows them: opened when they are first read.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>

#include "storage/catalog.hpp"
#include "storage/segment_file.hpp"

namespace levada::log {

/// Keeps the segments open that were opened last, so that neither descriptors nor address space grow with the
/// log. Safe to share.
class segment_cache {
 public:
  /// `keep_pages` as `storage::touched_pages::keep_read`.
  segment_cache(std::filesystem::path directory, std::size_t open_max, bool keep_pages)
      : directory_{std::move(directory)}, open_max_{open_max}, keep_pages_{keep_pages} {}

  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
  void keep(std::shared_ptr<const storage::segment_file> file);

 private:
  const std::filesystem::path directory_;
  const std::size_t open_max_;
  const bool keep_pages_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<const storage::segment_file>> open_;
};

/// One segment of the catalogue. Safe to share.
class sealed_segment {
 public:
  sealed_segment(storage::segment_entry entry, std::shared_ptr<segment_cache> cache)
      : entry_{std::move(entry)}, cache_{std::move(cache)} {}
  /// One whose file has no name any more, and stays open.
  sealed_segment(storage::segment_entry entry, std::shared_ptr<const storage::segment_file> file)
      : entry_{std::move(entry)}, pinned_{std::move(file)} {}

  [[nodiscard]] const storage::segment_entry& entry() const noexcept { return entry_; }
  /// Null where the file is gone. What holds on to the file keeps it readable, also when it is deleted.
  [[nodiscard]] result<std::shared_ptr<const storage::segment_file>> open() const;

 private:
  const storage::segment_entry entry_;
  const std::shared_ptr<segment_cache> cache_;
  const std::shared_ptr<const storage::segment_file> pinned_;
  mutable std::mutex mutex_;
  mutable std::weak_ptr<const storage::segment_file> file_;
};

/// The consecutive records of one partition within a segment.
struct sealed_part {
  std::shared_ptr<const sealed_segment> segment;
  storage::segment_entry::part where;
};

/// The file of a segment in its directory.
[[nodiscard]] std::filesystem::path segment_path(const std::filesystem::path& directory, std::uint32_t id);

}  // namespace levada::log
