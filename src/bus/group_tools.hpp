#pragma once

/// @file
/// What is done to groups from outside, while nobody is in them.

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "bus/core.hpp"
#include "log/log_reader.hpp"

namespace levada {

/// Where a reader without a position begins; nothing where it is not to begin by itself. `duration` is for
/// `by_duration`.
[[nodiscard]] std::optional<offset_reset_target> target_of(offset_reset how,
                                                           std::chrono::milliseconds duration);

/// Where a target lies in a partition: an offset beyond an end is that end. `now` is the time of the bus, in
/// microseconds since 1970.
[[nodiscard]] result<std::uint64_t> offset_of_target(const log::log_state& log, std::uint32_t partition,
                                                     const offset_reset_target& to, std::int64_t now,
                                                     log::log_reader& reader);

/// Forgets a group and what it has committed.
[[nodiscard]] result<void> delete_group(core& owner, std::string_view name,
                                        const group_deletion_options& options);

/// Sets how far a group has read the partitions of a topic.
[[nodiscard]] result<std::vector<offset_change>> reset_offsets(core& owner, std::string_view group,
                                                               std::string_view topic,
                                                               const offset_reset_options& options);

}  // namespace levada
