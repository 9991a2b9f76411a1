#pragma once

/// @file
/// What logs keep and how: policies as users give them, and as they are stored.

#include <optional>
#include <string_view>

#include "storage/catalog.hpp"

#include <levada/error.hpp>
#include <levada/options.hpp>

namespace levada {

/// Put a policy into its stored form. Fail with `invalid_argument` for what can be no policy; `operation` and
/// `name` are for the message.
[[nodiscard]] result<void> store_retention(std::string_view operation, std::string_view name,
                                           const retention_policy& policy, storage::log_policy& to);
[[nodiscard]] result<void> store_compaction(std::string_view operation, std::string_view name,
                                            const std::optional<compaction_policy>& policy,
                                            storage::log_policy& to);
[[nodiscard]] result<void> store_compression(std::string_view operation, std::string_view name,
                                             compression how, storage::log_policy& to);

[[nodiscard]] retention_policy retention_of(const storage::log_policy& policy);
[[nodiscard]] std::optional<compaction_policy> compaction_of(const storage::log_policy& policy);
[[nodiscard]] compression compression_of(const storage::log_policy& policy);

}  // namespace levada
