#pragma once

/// @file
/// What is done to queues from outside.

#include <cstddef>
#include <cstdint>
#include <string>

#include "bus/core.hpp"

#include <levada/inspect.hpp>
#include <levada/options.hpp>
#include <levada/record_batch.hpp>

namespace levada {

/// Adds what only the owner of the store knows.
void add_owners_view(const queue_slot& queue, queue_info& info);

/// Settles what is ready, in slices; returns how much it was.
[[nodiscard]] result<std::uint64_t> purge_queue(core& owner, queue_slot& queue);

/// Copies of what would be handed out first.
[[nodiscard]] result<record_batch> peek(core& owner, const core::access& access, const queue_slot& queue,
                                        std::size_t most);

}  // namespace levada
