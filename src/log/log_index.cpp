#include "log/log_index.hpp"

#include <algorithm>
#include <iterator>

namespace levada::log {

void log_index::add(std::uint64_t sequence, std::uint64_t base_offset, std::int64_t time_last) {
  if (!entries_.empty() && sequence - entries_.back().sequence < window) {
    ++entries_.back().rows;
    entries_.back().time_max = std::max(entries_.back().time_max, time_last);
    return;
  }
  if (!entries_.empty()) time_last = std::max(time_last, entries_.back().time_max);
  entries_.push_back({sequence, base_offset, time_last, 1});
}

void log_index::drop_through(std::uint64_t sequence, std::uint64_t next_offset) {
  auto kept =
      std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.sequence > sequence; });
  // The entry before may reach beyond it.
  if (kept != entries_.begin() && std::prev(kept)->sequence + window - 1 > sequence) --kept;
  entries_.erase(entries_.begin(), kept);
  if (entries_.empty() || entries_.front().sequence > sequence) return;
  // How many of its rows are left is not known; those of its window that belong to it, then.
  entry& first = entries_.front();
  first.sequence = sequence + 1;
  first.base_offset = next_offset;
  first.rows = window;
}

std::optional<std::size_t> log_index::find_offset(std::uint64_t offset) const noexcept {
  const auto after = std::upper_bound(entries_.begin(), entries_.end(), offset,
                                      [](std::uint64_t o, const entry& e) { return o < e.base_offset; });
  if (after == entries_.begin()) return std::nullopt;
  return static_cast<std::size_t>(after - entries_.begin()) - 1;
}

std::optional<std::size_t> log_index::find_time(std::int64_t time) const noexcept {
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), time,
                                      [](const entry& e, std::int64_t t) { return e.time_max < t; });
  if (found == entries_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - entries_.begin());
}

}  // namespace levada::log
