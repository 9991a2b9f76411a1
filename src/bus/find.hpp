#pragma once

/// @file
/// Looking up by name what a call is about, or the error that says what there is instead. For callers that
/// have entered the bus.

#include <memory>
#include <string_view>

#include "bus/core.hpp"

namespace levada {

/// A topic or an exchange's log. Fails with `unknown_topic`.
[[nodiscard]] result<std::shared_ptr<topic_slot>> find_log(const core& owner, std::string_view operation,
                                                           std::string_view name);
/// A topic. Fails with `unknown_topic`, also for an exchange.
[[nodiscard]] result<std::shared_ptr<topic_slot>> find_plain_topic(const core& owner,
                                                                   std::string_view operation,
                                                                   std::string_view name);
/// Fails with `unknown_exchange`, also for a topic.
[[nodiscard]] result<std::shared_ptr<topic_slot>> find_exchange(const core& owner, std::string_view operation,
                                                                std::string_view name);

}  // namespace levada
