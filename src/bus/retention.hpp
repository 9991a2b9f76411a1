#pragma once

/// @file
/// What logs give up: by policy, or because they are told to.

#include <cstdint>
#include <memory>
#include <vector>

#include "bus/core.hpp"
#include "bus/needless.hpp"
#include "queue/schedule.hpp"

namespace levada {

/// The offsets before `before`, by partition and sorted, that queues still refer to.
[[nodiscard]] result<std::vector<std::vector<std::uint64_t>>> references_before(core& owner,
                                                                                const core::access& access,
                                                                                std::uint32_t log,
                                                                                const beginnings& before);

/// Raises the beginning of a partition. Fails with `unknown_topic`, `unknown_partition` or
/// `offset_out_of_range`.
[[nodiscard]] result<void> delete_records(core& owner, topic_slot& topic, std::uint32_t partition,
                                          std::uint64_t before);

/// An exchange of which retention would have given up more, but for messages that queues refer to.
struct held_back {
  std::shared_ptr<topic_slot> exchange;
  beginnings needless;                ///< the offset by partition before which only those are needed
  std::uint64_t backfills_begun = 0;  ///< when that was found, as `core::backfills_begun`
};

/// Raises the beginnings of all logs as their policies say, and takes segments of which nothing is left out
/// of the catalogue. Their files are left for `core::take_dropped`. Where jobs cannot be read, logs that wait
/// for readers keep what they have; `told` is whether the logger knows of it.
[[nodiscard]] result<std::vector<held_back>> apply_retention(core& owner, const core::access& access,
                                                             bool& told);

}  // namespace levada
