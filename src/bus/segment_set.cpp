#include "bus/segment_set.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "storage/errors.hpp"

namespace levada {
namespace {

/// Parts by the log that they belong to, in the order of their offsets.
std::map<std::uint32_t, std::vector<log::sealed_part>> by_log(
    const std::vector<std::shared_ptr<const log::sealed_segment>>& segments) {
  std::map<std::uint32_t, std::vector<log::sealed_part>> parts;
  for (const auto& segment : segments) {
    for (const auto& part : segment->entry().parts) parts[part.log].push_back({segment, part});
  }
  for (auto& [log, all] : parts) {
    std::sort(all.begin(), all.end(), [](const log::sealed_part& a, const log::sealed_part& b) {
      return a.where.base_offset < b.where.base_offset;
    });
  }
  return parts;
}

/// Gives the logs their parts, and takes the rows that are sealed.
void hand_out(const std::vector<std::shared_ptr<const log::sealed_segment>>& segments, std::uint64_t sealed,
              const std::vector<log::log_state*>& logs, bool from_nothing) {
  auto parts = by_log(segments);
  for (log::log_state* const log : logs) {
    const std::lock_guard guard{log->mutex()};
    if (from_nothing) log->drop_sealed([](const auto&) { return true; });
    for (auto& part : parts[log->id()]) log->add_sealed(std::move(part));
    log->drop_rows_through(sealed);
  }
}

}  // namespace

std::shared_ptr<const log::sealed_segment> segment_set::note(
    const storage::segment_entry& entry, std::shared_ptr<const storage::segment_file> file) {
  auto& place = segments_[entry.id];
  if (!place) {
    place = file ? std::make_shared<const log::sealed_segment>(entry, cache_, std::move(file))
                 : std::make_shared<const log::sealed_segment>(entry, cache_);
  }
  return place;
}

void segment_set::load(const std::vector<storage::segment_entry>& entries, std::uint64_t sealed,
                       const std::vector<log::log_state*>& logs) {
  // Those that stay are kept, with the files that they have open.
  std::unique_lock lock{mutex_};
  auto known = std::exchange(segments_, {});
  std::vector<std::shared_ptr<const log::sealed_segment>> segments;
  segments.reserve(entries.size());
  for (const auto& entry : entries) {
    segments_.insert(known.extract(entry.id));
    segments.push_back(note(entry, nullptr));
  }
  lock.unlock();
  for (const auto& [id, gone] : known) gone->retire();
  hand_out(segments, sealed, logs, true);
}

void segment_set::add(const std::vector<storage::segment_entry>& entries,
                      const std::vector<std::shared_ptr<const storage::segment_file>>& files,
                      std::uint64_t sealed, const std::vector<log::log_state*>& logs) {
  std::vector<std::shared_ptr<const log::sealed_segment>> segments;
  {
    const std::lock_guard guard{mutex_};
    for (std::size_t i = 0; i < entries.size(); ++i) {
      segments.push_back(note(entries[i], files.empty() ? nullptr : files[i]));
    }
  }
  hand_out(segments, sealed, logs, false);
}

void segment_set::replace(const std::vector<std::uint32_t>& old,
                          const std::vector<storage::segment_entry>& entries,
                          const std::vector<std::shared_ptr<const storage::segment_file>>& files,
                          const std::vector<log::log_state*>& logs) {
  std::vector<std::shared_ptr<const log::sealed_segment>> segments;
  std::vector<std::shared_ptr<const log::sealed_segment>> retired;
  {
    const std::lock_guard guard{mutex_};
    retired = take_out(old);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      segments.push_back(note(entries[i], files.empty() ? nullptr : files[i]));
    }
  }
  auto parts = by_log(segments);
  for (log::log_state* const log : logs) {
    const std::lock_guard guard{log->mutex()};
    const auto gone = [&old](const log::sealed_part& part) {
      return std::find(old.begin(), old.end(), part.segment->entry().id) != old.end();
    };
    // A part whose offsets have all been removed meanwhile is nobody's.
    std::erase_if(parts[log->id()], [log](const log::sealed_part& part) {
      return part.where.end_offset <= log->begin(part.where.partition);
    });
    log->replace_sealed(gone, parts[log->id()]);
  }
  for (const auto& segment : retired) segment->retire();
}

std::vector<std::shared_ptr<const log::sealed_segment>> segment_set::all() const {
  const std::lock_guard guard{mutex_};
  std::vector<std::shared_ptr<const log::sealed_segment>> found;
  found.reserve(segments_.size());
  for (const auto& [id, segment] : segments_) found.push_back(segment);
  return found;
}

std::shared_ptr<const log::sealed_segment> segment_set::find(std::uint32_t id) const {
  const std::lock_guard guard{mutex_};
  const auto found = segments_.find(id);
  return found == segments_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<const log::sealed_segment>> segment_set::take_out(
    const std::vector<std::uint32_t>& ids) {
  std::vector<std::shared_ptr<const log::sealed_segment>> taken;
  for (const std::uint32_t id : ids) {
    const auto found = segments_.find(id);
    if (found == segments_.end()) continue;
    taken.push_back(std::move(found->second));
    segments_.erase(found);
  }
  return taken;
}

void segment_set::remove(const std::vector<std::uint32_t>& ids) {
  std::vector<std::shared_ptr<const log::sealed_segment>> retired;
  {
    const std::lock_guard guard{mutex_};
    retired = take_out(ids);
  }
  for (const auto& segment : retired) segment->retire();
}

result<std::uint32_t> remove_stray_segments(const std::filesystem::path& directory,
                                            const std::vector<storage::segment_entry>& entries) {
  std::set<std::string> named;
  std::uint32_t above = 1;
  for (const auto& entry : entries) {
    named.insert(log::segment_path(directory, entry.id).filename().string());
    above = std::max(above, entry.id + 1);
  }
  std::error_code failure;
  std::filesystem::directory_iterator files{directory, failure};
  for (; !failure && files != std::filesystem::directory_iterator{}; files.increment(failure)) {
    const std::string name = files->path().filename().string();
    std::uint32_t id = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), id, 16);
    if (parsed.ec == std::errc{}) above = std::max(above, id + 1);
    const std::string extension = files->path().extension().string();
    if (named.contains(name) || (extension != ".seg" && extension != ".new")) continue;
    std::filesystem::remove(files->path(), failure);
    if (failure) break;
  }
  if (failure) return storage::system_error(failure.value(), "clear segments", directory);
  return above;
}

}  // namespace levada
