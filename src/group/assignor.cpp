#include "group/assignor.hpp"

#include <algorithm>

namespace levada::group {

std::vector<std::vector<topic_partition>> assign_range(const std::vector<subscription>& members,
                                                       const std::vector<topic_size>& topics) {
  std::vector<std::vector<topic_partition>> assignment(members.size());
  for (const auto& [topic, partitions] : topics) {
    std::vector<std::size_t> subscribed;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto& wanted = members[i].topics;
      if (std::find(wanted.begin(), wanted.end(), topic) != wanted.end()) subscribed.push_back(i);
    }
    if (subscribed.empty()) continue;
    std::sort(subscribed.begin(), subscribed.end(),
              [&](std::size_t a, std::size_t b) { return members[a].member < members[b].member; });
    const auto n = static_cast<std::uint32_t>(subscribed.size());
    std::uint32_t next = 0;
    for (std::uint32_t k = 0; k < n; ++k) {
      const std::uint32_t share = partitions / n + (k < partitions % n ? 1 : 0);
      for (const std::uint32_t end = next + share; next < end; ++next) {
        assignment[subscribed[k]].push_back({topic, partition_id{next}});
      }
    }
  }
  for (auto& owned : assignment) std::sort(owned.begin(), owned.end());
  return assignment;
}

}  // namespace levada::group
