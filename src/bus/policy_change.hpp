#pragma once

/// @file
/// Setting and deleting policies. Each commits alone.

#include <string_view>

#include "bus/core.hpp"

namespace levada {

/// In place of the one of that name, if there is one; what becomes too much in queues leaves by and by.
[[nodiscard]] result<void> set_policy(core& owner, storage::policy_entry entry);
/// Fails with `unknown_policy`.
[[nodiscard]] result<void> delete_policy(core& owner, bool by_operator, std::string_view name);

}  // namespace levada
