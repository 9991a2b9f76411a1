#include "bus/job_position.hpp"

#include <algorithm>

namespace levada {

std::optional<std::vector<std::uint64_t>> position_of(const storage::job_checkpoint& job,
                                                      const log::log_state& log,
                                                      const std::vector<storage::epoch_entry>& epochs) {
  const auto saved = std::find_if(job.logs.begin(), job.logs.end(), [&](const auto& l) {
    return l.id == log.id() && l.topic == log.name() && l.next.size() == log.partitions();
  });
  if (saved == job.logs.end()) return std::nullopt;
  std::vector<std::uint64_t> next = saved->next;
  for (std::uint32_t p = 0; p < log.partitions(); ++p) next[p] = std::min(next[p], log.end(p));
  for (const auto& epoch : epochs) {
    if (epoch.number <= job.epoch) continue;
    const auto left =
        std::find_if(epoch.logs.begin(), epoch.logs.end(), [&](const auto& l) { return l.id == log.id(); });
    for (std::uint32_t p = 0; p < log.partitions(); ++p) {
      // A log that was not there then is another one, whose id the lost one had had.
      const std::uint64_t end = left != epoch.logs.end() && p < left->ends.size() ? left->ends[p] : 0;
      next[p] = std::min(next[p], end);
    }
  }
  return next;
}

}  // namespace levada
