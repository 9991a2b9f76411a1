#pragma once

/// @file
/// Policies and what operators limit, as a table.

#include <vector>

#include "cli/table.hpp"

#include <levada/policy.hpp>

namespace levada::cli {

/// One row a policy; `operator` tells the two kinds apart, `sets` has what each says as `name=value`.
[[nodiscard]] table policy_table(const std::vector<policy_info>& policies,
                                 const std::vector<operator_policy_info>& by_operator);

}  // namespace levada::cli
