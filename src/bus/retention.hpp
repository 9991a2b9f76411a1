#pragma once

/// @file
/// What logs give up: by policy, or because they are told to.

#include <cstdint>

#include "bus/core.hpp"

namespace levada {

/// Raises the beginning of a partition. Fails with `unknown_topic`, `unknown_partition` or
/// `offset_out_of_range`.
[[nodiscard]] result<void> delete_records(core& owner, topic_slot& topic, std::uint32_t partition,
                                          std::uint64_t before);

/// Raises the beginnings of all logs as their policies say, and takes segments of which nothing is left out
/// of the catalogue. Their files are left for `core::take_dropped`.
[[nodiscard]] result<void> apply_retention(core& owner, const core::access& access);

}  // namespace levada
