#pragma once

/// @file
/// What waits to be routed: entering it into the schedule, and taking it back.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bus/core.hpp"
#include "queue/schedule.hpp"

#include <levada/error.hpp>
#include <levada/publishing.hpp>

namespace levada {

/// Schedules a message that this commit has appended to its exchange's log; returns when it is due.
[[nodiscard]] result<std::int64_t> schedule(commit_scope& scope, const topic_slot& exchange,
                                            std::uint32_t partition, std::uint64_t offset,
                                            std::int64_t delay_microseconds);

/// The first of what waits.
[[nodiscard]] result<std::vector<delayed_message>> list_delayed(const core& owner, const core::access& access,
                                                                std::size_t most);
/// Has a message never be routed; whether it was waiting.
[[nodiscard]] result<bool> cancel_delayed(core& owner, const queue::scheduled_message& message);
/// The same, in slices, of all that wait for these exchanges.
[[nodiscard]] result<void> cancel_delayed(core& owner, const core::access& access,
                                          std::span<const std::uint32_t> exchanges);

}  // namespace levada
