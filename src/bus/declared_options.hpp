#pragma once

/// @file
/// What exchanges and queues are declared with: as users give it, and as it is stored.

#include <cstdint>
#include <string>

#include "bus/policy_set.hpp"
#include "queue/queue_state.hpp"
#include "storage/catalog.hpp"

#include <levada/error.hpp>
#include <levada/inspect.hpp>
#include <levada/options.hpp>

namespace levada {

/// Fails with `invalid_argument`, `name_invalid` or `field_too_long`; `operation` is for messages.
[[nodiscard]] result<storage::queue_traits> traits_of(const std::string& operation,
                                                      const queue_options& options);
[[nodiscard]] queue_options options_of(const storage::queue_traits& traits);
[[nodiscard]] exchange_options options_of(exchange_type type, std::uint32_t partitions,
                                          const storage::exchange_traits& traits,
                                          const storage::log_policy& policy);

/// What listings tell of an exchange, and of a queue that holds so much.
[[nodiscard]] exchange_info info_of(const std::string& name, exchange_type type, std::uint32_t partitions,
                                    const storage::exchange_traits& declared,
                                    const storage::log_policy& policy, const exchange_rules& rules,
                                    std::uint64_t bindings);
[[nodiscard]] queue_info info_of(const std::string& name, bool exclusive, const queue::amount& held,
                                 const storage::queue_traits& declared, const queue_rules& rules);

}  // namespace levada
