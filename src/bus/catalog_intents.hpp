#pragma once

/// @file
/// Declaring and deleting: the intents that change what exists. Each commits alone.

#include <memory>
#include <string_view>

#include "bus/core.hpp"

#include <levada/options.hpp>

namespace levada {

/// The topic or exchange of that name, made if there is none. `exchange` is 0 for a topic, else the
/// exchange_type. Fails with `inequivalent` where it exists with other properties; the policy is no such.
[[nodiscard]] result<std::shared_ptr<topic_slot>> declare_log(core& owner, std::string_view name,
                                                              std::uint32_t partitions, std::uint8_t exchange,
                                                              const storage::log_policy& policy);
[[nodiscard]] result<void> set_policy(core& owner, topic_slot& log, const storage::log_policy& policy);
[[nodiscard]] result<void> delete_topic(core& owner, topic_slot& topic);
[[nodiscard]] result<std::shared_ptr<group_slot>> declare_group(core& owner, std::string_view name);
/// An empty `name` makes one up, for an exclusive queue.
[[nodiscard]] result<std::shared_ptr<queue_slot>> declare_queue(core& owner, std::string_view name);
[[nodiscard]] result<void> delete_queue(core& owner, queue_slot& queue);
[[nodiscard]] result<void> bind(core& owner, topic_slot& exchange, queue_slot& queue, std::string_view key);
[[nodiscard]] result<void> unbind(core& owner, topic_slot& exchange, queue_slot& queue, std::string_view key);

}  // namespace levada
