#pragma once

/// @file
/// The segments of a store as memory knows them: opened when they are first read.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

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
  /// Keeps a file open, unless it has been retired. `log` as `open_file::log`.
  void keep(std::shared_ptr<const storage::segment_file> file, std::uint32_t log,
            const std::atomic<bool>& retired);
  /// Keeps a file open no longer: its segment is to go, and the room that it takes with it.
  void forget(std::uint32_t id);
  /// Takes note of a file that others keep open.
  void note(const std::shared_ptr<const storage::segment_file>& file, std::uint32_t log);

  struct open_file {
    std::shared_ptr<const storage::segment_file> file;
    /// Whose records it holds; 0 where they are several logs'.
    std::uint32_t log = 0;
  };
  /// All that are open at this moment, whoever keeps them so.
  [[nodiscard]] std::vector<open_file> open_files() const;

 private:
  struct seen_file {
    std::weak_ptr<const storage::segment_file> file;
    std::uint32_t log = 0;
  };
  void note_locked(const std::shared_ptr<const storage::segment_file>& file, std::uint32_t log);

  const std::filesystem::path directory_;
  const std::size_t open_max_;
  const bool keep_pages_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const storage::segment_file>> open_;
  std::vector<seen_file> seen_;  // those that are no longer open are dropped now and then
};

/// One segment of the catalogue. Safe to share.
class sealed_segment {
 public:
  sealed_segment(storage::segment_entry entry, std::shared_ptr<segment_cache> cache)
      : entry_{std::move(entry)}, cache_{std::move(cache)} {}
  /// One whose file has no name any more, and stays open.
  sealed_segment(storage::segment_entry entry, std::shared_ptr<segment_cache> cache,
                 std::shared_ptr<const storage::segment_file> file);

  [[nodiscard]] const storage::segment_entry& entry() const noexcept { return entry_; }
  /// Null where the file is gone. What holds on to the file keeps it readable, also when it is deleted.
  [[nodiscard]] result<std::shared_ptr<const storage::segment_file>> open() const;
  /// To be called when the catalogue does not name it any more: from now on its file is open for those who
  /// read from it, and for nobody else.
  void retire() const;

 private:
  const storage::segment_entry entry_;
  const std::shared_ptr<segment_cache> cache_;
  const std::shared_ptr<const storage::segment_file> pinned_;
  mutable std::atomic<bool> retired_{false};
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
