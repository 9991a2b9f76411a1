#pragma once

/// @file
/// Declaring and deleting: the intents that change what exists. Each commits alone.

#include <functional>
#include <memory>
#include <string_view>

#include "bus/core.hpp"

#include <levada/error.hpp>

namespace levada {

/// The topic or exchange of that name, made from `entry` if there is none. Fails with `inequivalent` where it
/// exists with other properties; the policy is no such.
[[nodiscard]] result<std::shared_ptr<topic_slot>> declare_log(core& owner, storage::log_entry entry);
/// Changes the policy of a topic or exchange; `operation` is for messages.
[[nodiscard]] result<void> change_policy(core& owner, topic_slot& log, std::string_view operation,
                                         const std::function<void(storage::log_policy&)>& change);
[[nodiscard]] result<void> delete_topic(core& owner, topic_slot& topic);
[[nodiscard]] result<std::shared_ptr<group_slot>> declare_group(core& owner, std::string_view name);
/// An empty `name` makes one up, for an exclusive queue.
[[nodiscard]] result<std::shared_ptr<queue_slot>> declare_queue(core& owner, std::string_view name);
[[nodiscard]] result<void> delete_queue(core& owner, queue_slot& queue);
[[nodiscard]] error table_is_gone(const table_slot& table);
[[nodiscard]] result<std::shared_ptr<table_slot>> declare_table(core& owner, std::string_view name);
/// Its rows are erased in slices, by and by.
[[nodiscard]] result<void> delete_table(core& owner, table_slot& table);
[[nodiscard]] result<void> bind(core& owner, topic_slot& exchange, queue_slot& queue, std::string_view key);
[[nodiscard]] result<void> unbind(core& owner, topic_slot& exchange, queue_slot& queue, std::string_view key);

}  // namespace levada
