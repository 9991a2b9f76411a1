#pragma once

/// @file
/// The segments of a store in memory: which there are, and the logs that their parts belong to.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "log/log_state.hpp"
#include "log/sealed_segment.hpp"
#include "storage/catalog.hpp"

namespace levada {

/// Safe to share; what it notes in logs is guarded by their mutexes.
class segment_set {
 public:
  /// Finds a log by its id; null where it has been deleted.
  using find_function = std::function<log::log_state*(std::uint32_t log)>;

  /// Segments that are opened through `cache`.
  explicit segment_set(std::shared_ptr<log::segment_cache> cache) : cache_{std::move(cache)} {}

  /// Makes the logs know just these segments, and their journal rows up to `sealed` no more.
  void load(const std::vector<storage::segment_entry>& entries, std::uint64_t sealed,
            const std::vector<log::log_state*>& logs);
  /// Adds what has just been sealed, likewise. `files`, if not empty, holds the files, which have no names.
  void add(const std::vector<storage::segment_entry>& entries,
           const std::vector<std::shared_ptr<const storage::segment_file>>& files, std::uint64_t sealed,
           const std::vector<log::log_state*>& logs);

  /// Puts new segments in the place of others, which hold the same records or some of them.
  void replace(const std::vector<std::uint32_t>& old, const std::vector<storage::segment_entry>& entries,
               const std::vector<std::shared_ptr<const storage::segment_file>>& files,
               const std::vector<log::log_state*>& logs);
  /// Forgets segments, of which no log has a part any more.
  void remove(const std::vector<std::uint32_t>& ids);

  [[nodiscard]] std::vector<std::shared_ptr<const log::sealed_segment>> all() const;
  /// The files that are open at this moment, also those of segments that have been forgotten.
  [[nodiscard]] std::vector<log::segment_cache::open_file> open_files() const { return cache_->open_files(); }
  /// Null where there is no such segment.
  [[nodiscard]] std::shared_ptr<const log::sealed_segment> find(std::uint32_t id) const;

 private:
  [[nodiscard]] std::shared_ptr<const log::sealed_segment> note(
      const storage::segment_entry& entry, std::shared_ptr<const storage::segment_file> file);
  /// Takes segments out, to be retired without the lock.
  [[nodiscard]] std::vector<std::shared_ptr<const log::sealed_segment>> take_out(
      const std::vector<std::uint32_t>& ids);

  const std::shared_ptr<log::segment_cache> cache_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<std::uint32_t, std::shared_ptr<const log::sealed_segment>> segments_;
};

/// Whether anything is left of a segment: `begin_of(log, partition)` tells the oldest offset that is wanted,
/// or nothing for a log that has been deleted.
template <class BeginOf>
[[nodiscard]] bool is_needed(const storage::segment_entry& segment, BeginOf begin_of) {
  return std::any_of(segment.parts.begin(), segment.parts.end(), [&](const auto& part) {
    const std::optional<std::uint64_t> begin = begin_of(part.log, part.partition);
    return begin && part.end_offset > *begin;
  });
}

/// Removes the files in `directory` that no entry names: crashes may leave such. Returns an id above all that
/// the files had.
[[nodiscard]] result<std::uint32_t> remove_stray_segments(const std::filesystem::path& directory,
                                                          const std::vector<storage::segment_entry>& entries);

}  // namespace levada
