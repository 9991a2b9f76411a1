#include "group/assignment_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>

#include "group/topic_readers.hpp"

namespace levada::group {
namespace {

constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

error broken(const assignor& by, const std::string& what) {
  return error{errc::invalid_argument,
               fmt::format("assign partitions by assignor '{}': {}", by.name(), what)};
}
error broken(const assignor& by, const topic_partition& where, const std::string& what) {
  return broken(by, fmt::format("topic '{}', partition {} {}", where.topic, where.partition.value(), what));
}

}  // namespace

result<void> check_assignment(const assignor& by, std::span<const assignor_member> members,
                              std::span<const assignor_topic> topics,
                              const std::vector<std::vector<topic_partition>>& assignment) {
  if (assignment.size() != members.size()) {
    return broken(by, fmt::format("{} elements for {} members", assignment.size(), members.size()));
  }
  const auto readers = topic_readers(members, topics);
  std::unordered_map<std::string_view, std::uint32_t> places;
  std::vector<std::vector<std::uint32_t>> owners(topics.size());
  for (std::uint32_t t = 0; t < topics.size(); ++t) {
    places.emplace(topics[t].name, t);
    owners[t].resize(topics[t].partitions, none);
  }
  for (std::uint32_t m = 0; m < members.size(); ++m) {
    for (const auto& where : assignment[m]) {
      const auto& id = members[m].id;
      const auto found = places.find(where.topic);
      if (found == places.end()) {
        return broken(by, where, fmt::format("goes to member '{}': the group reads no such topic", id));
      }
      const std::uint32_t t = found->second;
      if (where.partition.value() >= topics[t].partitions) {
        return broken(
            by, where,
            fmt::format("goes to member '{}': the topic has {} partitions", id, topics[t].partitions));
      }
      if (!std::binary_search(readers[t].begin(), readers[t].end(), m)) {
        return broken(by, where, fmt::format("goes to member '{}', which does not read the topic", id));
      }
      std::uint32_t& owner = owners[t][where.partition.value()];
      if (owner == m) return broken(by, where, fmt::format("goes to member '{}' twice", id));
      if (owner != none) {
        return broken(by, where, fmt::format("goes to members '{}' and '{}'", members[owner].id, id));
      }
      owner = m;
    }
  }
  for (std::uint32_t t = 0; t < topics.size(); ++t) {
    if (readers[t].empty()) continue;
    const auto missing = std::find(owners[t].begin(), owners[t].end(), none);
    if (missing == owners[t].end()) continue;
    const partition_id partition{static_cast<std::uint32_t>(missing - owners[t].begin())};
    return broken(by, {topics[t].name, partition}, "goes to nobody");
  }
  return {};
}

}  // namespace levada::group
