#pragma once

/// @file
/// Settling what a queue can no longer deliver, and putting its rows right.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "queue/queue_blocks.hpp"

namespace levada::queue {

/// What is wrong with a queue, and what is to become of it.
struct damaged_queue {
  std::uint32_t id = 0;
  /// Messages that are lost; at most so many where both a block and the state cannot be read.
  std::uint64_t count = 0;
  /// Unsettled positions whose messages are lost, sorted.
  std::vector<std::uint64_t> positions;
  /// Blocks that cannot be read.
  std::vector<std::uint64_t> blocks;
  /// The state without them.
  queue_row row;
  /// Whether what it shares is known, so that it stays.
  bool shares = false;
};

/// Calls `each` for every reference that is not settled, of the blocks that can be read.
[[nodiscard]] result<void> for_each_readable(const storage::transaction& txn,
                                             const storage::main_tables& tables, std::uint32_t queue,
                                             const std::function<void(const reference&)>& each);

/// Examines a queue of which the messages are gone for which `is_lost` says so; nothing where all is well.
/// Its lanes go at least as far as `kept_free` says, by lane.
[[nodiscard]] result<std::optional<damaged_queue>> examine_queue(
    const storage::transaction& txn, const storage::main_tables& tables, std::uint32_t queue,
    const std::function<bool(const reference&)>& is_lost, const std::vector<std::uint64_t>& kept_free = {});

[[nodiscard]] result<void> repair_queue(storage::write_transaction& txn, const storage::main_tables& tables,
                                        const damaged_queue& queue);

}  // namespace levada::queue
