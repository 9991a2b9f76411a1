#pragma once

/// @file
/// Deleting exchanges; declaring and deleting queues; bindings. Each commits alone.

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "bus/core.hpp"

#include <levada/error.hpp>
#include <levada/options.hpp>

namespace levada {

[[nodiscard]] result<void> delete_exchange(core& owner, topic_slot& exchange,
                                           const exchange_deletion_options& options);
/// Who may consume a queue.
enum class queue_of { all, one };
/// An empty `name` makes one up.
[[nodiscard]] result<std::shared_ptr<queue_slot>> declare_queue(core& owner, std::string_view name,
                                                                const storage::queue_traits& traits,
                                                                queue_of whom);
/// Fails with `in_use` where the queue has been used since `unused_since`, if that is given.
[[nodiscard]] result<void> delete_queue(core& owner, queue_slot& queue,
                                        const queue_deletion_options& options = {},
                                        std::optional<std::int64_t> unused_since = std::nullopt);

/// What a binding leads to.
struct binding_end {
  std::uint32_t id = 0;
  bool is_exchange = false;
  std::string_view name;
};
/// Arguments need not be sorted. An exchange is bound from now on.
[[nodiscard]] result<void> bind(core& owner, topic_slot& exchange, const binding_end& to,
                                std::string_view key, const binding_arguments& arguments,
                                const binding_options& options = {});
[[nodiscard]] result<void> unbind(core& owner, topic_slot& exchange, const binding_end& to,
                                  std::string_view key, const binding_arguments& arguments);

/// Erases exchanges that have been deleted and that no queue refers to any more.
[[nodiscard]] result<void> erase_orphans(core& owner, const core::access& access);

}  // namespace levada
