#include "log/sealed_segment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace levada::log {

namespace {

/// The log that all parts of a segment belong to; 0 where there are several.
std::uint32_t only_log(const storage::segment_entry& entry) {
  if (entry.parts.empty()) return 0;
  const std::uint32_t log = entry.parts.front().log;
  const bool only = std::all_of(entry.parts.begin(), entry.parts.end(),
                                [log](const auto& part) { return part.log == log; });
  return only ? log : 0;
}

}  // namespace

void segment_cache::keep(std::shared_ptr<const storage::segment_file> file, std::uint32_t log,
                         const std::atomic<bool>& retired) {
  if (keep_pages_) file->pages().keep_read();
  std::shared_ptr<const storage::segment_file> oldest;  // closed without the lock
  const std::lock_guard guard{mutex_};
  note_locked(file, log);
  if (retired) return;
  open_.push_back(std::move(file));
  if (open_.size() <= open_max_) return;
  oldest = std::move(open_.front());
  open_.pop_front();
}

void segment_cache::forget(std::uint32_t id) {
  std::shared_ptr<const storage::segment_file> gone;  // closed without the lock
  const std::lock_guard guard{mutex_};
  const auto found =
      std::find_if(open_.begin(), open_.end(), [id](const auto& file) { return file->identity().id == id; });
  if (found == open_.end()) return;
  gone = std::move(*found);
  open_.erase(found);
}

void segment_cache::note(const std::shared_ptr<const storage::segment_file>& file, std::uint32_t log) {
  const std::lock_guard guard{mutex_};
  note_locked(file, log);
}

void segment_cache::note_locked(const std::shared_ptr<const storage::segment_file>& file, std::uint32_t log) {
  // As rarely as the list doubles.
  if (seen_.size() == seen_.capacity())
    std::erase_if(seen_, [](const seen_file& seen) { return seen.file.expired(); });
  seen_.push_back({file, log});
}

std::vector<segment_cache::open_file> segment_cache::open_files() const {
  std::vector<open_file> all;
  const std::lock_guard guard{mutex_};
  for (const auto& seen : seen_) {
    if (auto file = seen.file.lock()) all.push_back({std::move(file), seen.log});
  }
  return all;
}

sealed_segment::sealed_segment(storage::segment_entry entry, std::shared_ptr<segment_cache> cache,
                               std::shared_ptr<const storage::segment_file> file)
    : entry_{std::move(entry)}, cache_{std::move(cache)}, pinned_{std::move(file)} {
  cache_->note(pinned_, only_log(entry_));
}

result<std::shared_ptr<const storage::segment_file>> sealed_segment::open() const {
  if (pinned_) return pinned_;
  const std::lock_guard guard{mutex_};
  if (auto known = file_.lock()) return known;
  auto opened = storage::segment_file::open(segment_path(cache_->directory(), entry_.id), entry_.id);
  if (!opened || !*opened) return opened;
  file_ = *opened;
  cache_->keep(*opened, only_log(entry_), retired_);
  return opened;
}

void sealed_segment::retire() const {
  retired_ = true;
  cache_->forget(entry_.id);
}

std::filesystem::path segment_path(const std::filesystem::path& directory, std::uint32_t id) {
  return directory / fmt::format("{:08x}.seg", id);
}

}  // namespace levada::log
