#pragma once

/// @file
/// Whether an assignor kept the rule: a user's own may not.

#include <span>
#include <vector>

#include <levada/assignor.hpp>
#include <levada/error.hpp>

namespace levada::group {

/// Whether `assignment`, which `by` made of `members` and `topics`, is what `assignor::assign` demands. Fails
/// with `errc::invalid_argument`, and a message that names the assignor, the topic and the partition.
[[nodiscard]] result<void> check_assignment(const assignor& by, std::span<const assignor_member> members,
                                            std::span<const assignor_topic> topics,
                                            const std::vector<std::vector<topic_partition>>& assignment);

}  // namespace levada::group
