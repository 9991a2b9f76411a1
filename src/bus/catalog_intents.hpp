#pragma once

/// @file
/// Declaring and deleting topics, exchanges' logs, groups and tables. Each commits alone.

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "bus/core.hpp"

#include <levada/error.hpp>

namespace levada {

/// Who reads it: members that own partitions, or that share records.
enum class group_kind { consumer, share };

/// Fails with `invalid_argument`; `what` is for the message.
[[nodiscard]] result<void> check_partitions(std::string_view what, std::string_view name,
                                            std::uint32_t partitions);
/// The topic or exchange of that name, made from `entry` if there is none. Fails with `inequivalent` where it
/// exists with other properties; the policy is no such.
[[nodiscard]] result<std::shared_ptr<topic_slot>> declare_log(core& owner, storage::log_entry entry);
/// Changes the policy of a topic or exchange; `operation` is for messages.
[[nodiscard]] result<void> change_policy(core& owner, topic_slot& log, std::string_view operation,
                                         const std::function<void(storage::log_policy&)>& change);
[[nodiscard]] result<void> delete_topic(core& owner, const core::access& access, topic_slot& topic);
/// One that exists may be of the other kind.
[[nodiscard]] result<std::shared_ptr<group_slot>> declare_group(core& owner, std::string_view name,
                                                                group_kind kind);
[[nodiscard]] error table_is_gone(const table_slot& table);
[[nodiscard]] result<std::shared_ptr<table_slot>> declare_table(core& owner, std::string_view name);
/// Its rows are erased in slices, by and by.
[[nodiscard]] result<void> delete_table(core& owner, table_slot& table);

}  // namespace levada
