#pragma once

/// @file
/// What logs give up: by policy, or because they are told to.

#include <cstdint>
#include <string_view>

#include "bus/core.hpp"

#include <levada/options.hpp>

namespace levada {

/// The stored form of a policy. Fails with `invalid_argument` for a limit of nothing.
[[nodiscard]] result<storage::log_policy> policy_of(std::string_view operation, std::string_view name,
                                                    const retention_policy& policy);
[[nodiscard]] retention_policy retention_of(const storage::log_policy& policy);

/// Raises the beginning of a partition. Fails with `unknown_topic`, `unknown_partition` or
/// `offset_out_of_range`.
[[nodiscard]] result<void> delete_records(core& owner, topic_slot& topic, std::uint32_t partition,
                                          std::uint64_t before);

/// Raises the beginnings of all logs as their policies say, and takes segments of which nothing is left out
/// of the catalogue. Their files are left for `core::take_dropped`.
[[nodiscard]] result<void> apply_retention(core& owner, const core::access& access);

}  // namespace levada
