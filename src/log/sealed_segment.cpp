#include "log/sealed_segment.hpp"

#include <fmt/format.h>

#include <utility>

namespace levada::log {

void segment_cache::keep(std::shared_ptr<const storage::segment_file> file) {
  if (keep_pages_) file->pages().keep_read();
  std::shared_ptr<const storage::segment_file> oldest;  // closed without the lock
  const std::lock_guard guard{mutex_};
  open_.push_back(std::move(file));
  if (open_.size() <= open_max_) return;
  oldest = std::move(open_.front());
  open_.pop_front();
}

result<std::shared_ptr<const storage::segment_file>> sealed_segment::open() const {
  if (pinned_) return pinned_;
  const std::lock_guard guard{mutex_};
  if (auto known = file_.lock()) return known;
  auto opened = storage::segment_file::open(segment_path(cache_->directory(), entry_.id), entry_.id);
  if (!opened || !*opened) return opened;
  file_ = *opened;
  cache_->keep(*opened);
  return opened;
}

std::filesystem::path segment_path(const std::filesystem::path& directory, std::uint32_t id) {
  return directory / fmt::format("{:08x}.seg", id);
}

}  // namespace levada::log
