#include "log/log_pass.hpp"

#include <algorithm>
#include <shared_mutex>
#include <utility>

namespace levada::log {

bool log_pass::part::ended() const noexcept {
  for (std::size_t p = 0; p < next.size(); ++p) {
    if (next[p] < until[p]) return false;
  }
  return true;
}

log_pass::part* log_pass::find(std::uint32_t log) noexcept {
  const auto found =
      std::find_if(parts.begin(), parts.end(), [log](const part& p) { return p.log->id() == log; });
  return found == parts.end() ? nullptr : &*found;
}

bool log_pass::ended() const noexcept {
  return std::all_of(parts.begin(), parts.end(), [](const part& p) { return p.ended(); });
}

log_pass make_pass(std::vector<log_pass::part> parts) {
  std::uint64_t first = UINT64_MAX;
  for (const auto& part : parts) {
    const log_state& log = *part.log;
    const std::shared_lock guard{log.mutex()};
    for (std::uint32_t p = 0; p < log.partitions(); ++p) {
      if (part.next[p] >= part.until[p]) continue;
      std::uint64_t begin = log.sealed_through() + 1;
      if (const auto sealed = log.find_sealed(p, part.next[p])) {
        begin = sealed->where.sequence_first;
      } else if (const auto entry = log.index(p).find_offset(part.next[p])) {
        begin = log.index(p)[*entry].sequence;
      }
      first = std::min(first, begin);
    }
  }
  return {std::move(parts), first == UINT64_MAX ? 0 : first};
}

}  // namespace levada::log
