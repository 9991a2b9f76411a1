#pragma once

/// @file
/// Which member of a group shall read which partition: pure functions.

#include <cstdint>
#include <string>
#include <vector>

#include <levada/types.hpp>

namespace levada::group {

struct subscription {
  std::string member;
  std::vector<std::string> topics;
};

struct topic_size {
  std::string topic;
  std::uint32_t partitions;
};

/// Kafka's range assignment: topic by topic, the subscribed members in the order of their ids get
/// neighbouring partitions, the first of them one more where the numbers do not divide. The i-th result,
/// sorted, belongs to `members[i]`. Deterministic in the sets of members and topics.
[[nodiscard]] std::vector<std::vector<topic_partition>> assign_range(const std::vector<subscription>& members,
                                                                     const std::vector<topic_size>& topics);

}  // namespace levada::group
