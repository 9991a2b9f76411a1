#pragma once

/// @file
/// What is done to groups from outside, while nobody is in them.

#include <string_view>
#include <vector>

#include "bus/core.hpp"

namespace levada {

/// Forgets a group and what it has committed.
[[nodiscard]] result<void> delete_group(core& owner, std::string_view name,
                                        const group_deletion_options& options);

/// Sets how far a group has read the partitions of a topic.
[[nodiscard]] result<std::vector<offset_change>> reset_offsets(core& owner, std::string_view group,
                                                               std::string_view topic,
                                                               const offset_reset_options& options);

}  // namespace levada
