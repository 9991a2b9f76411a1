#pragma once

/// @file
/// Members by topic, which is how assignors look at subscriptions.

#include <cstdint>
#include <span>
#include <vector>

#include <levada/assignor.hpp>

namespace levada::group {

/// Who reads `topics[i]` is the i-th element: places in `members`, ascending. A subscription to a topic that
/// is not among `topics` counts for nothing.
[[nodiscard]] std::vector<std::vector<std::uint32_t>> topic_readers(std::span<const assignor_member> members,
                                                                    std::span<const assignor_topic> topics);

}  // namespace levada::group
