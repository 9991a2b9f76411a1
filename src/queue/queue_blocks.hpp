#pragma once

/// @file
/// The stored form of a queue: references to messages, packed into blocks, and one row of state.

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/main_environment.hpp"

namespace levada::queue {

/// Where a message stands: in the log of the exchange that it was published to.
struct reference {
  std::uint32_t log = 0;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
};
static_assert(sizeof(reference) == 16);

/// Entries of one block. A queue's positions count from 0 and are never used twice; position p stands in
/// block p / 120 at place p % 120.
inline constexpr std::uint64_t block_entries = 120;

/// A block in memory.
struct block {
  std::uint64_t number = 0;
  /// Entries that are done: acknowledged or discarded.
  std::bitset<128> settled;
  /// Entries that have certainly been delivered before (noted when the store is closed in good order).
  std::bitset<128> delivered;
  std::vector<reference> entries;
};

/// The row of state.
struct queue_row {
  /// The next position: one beyond the newest entry.
  std::uint64_t tail = 0;
  /// How many entries are settled; `tail - settled` messages are left.
  std::uint64_t settled = 0;
  /// Entries below may have been delivered. Raised in the commit that appends while the queue has a consumer,
  /// and before a consumer sees older entries: so after a crash no delivered message passes for a new one.
  std::uint64_t exposed = 0;
};

[[nodiscard]] result<std::optional<queue_row>> read_row(const storage::transaction& txn,
                                                        const storage::main_tables& tables,
                                                        std::uint32_t queue);
[[nodiscard]] result<void> write_row(storage::write_transaction& txn, const storage::main_tables& tables,
                                     std::uint32_t queue, const queue_row& row);
/// The block of that number, or nothing: then all its entries are settled, or none exists yet.
[[nodiscard]] result<std::optional<block>> read_block(const storage::transaction& txn,
                                                      const storage::main_tables& tables, std::uint32_t queue,
                                                      std::uint64_t number);
/// The number of the queue's first block at or after `from`; nothing when there is none.
[[nodiscard]] result<std::optional<std::uint64_t>> first_block(const storage::transaction& txn,
                                                               const storage::main_tables& tables,
                                                               std::uint32_t queue, std::uint64_t from);

/// Appends references from position `row.tail` on and moves the tail; writes blocks, not the row.
[[nodiscard]] result<void> append(storage::write_transaction& txn, const storage::main_tables& tables,
                                  std::uint32_t queue, queue_row& row, std::span<const reference> entries);
/// Marks positions, which are sorted, as settled; erases full blocks of which nothing is left.
[[nodiscard]] result<void> settle(storage::write_transaction& txn, const storage::main_tables& tables,
                                  std::uint32_t queue, std::span<const std::uint64_t> positions);
/// Marks positions, which are sorted, as delivered.
[[nodiscard]] result<void> mark_delivered(storage::write_transaction& txn, const storage::main_tables& tables,
                                          std::uint32_t queue, std::span<const std::uint64_t> positions);
/// How many entries a block has by its size alone, also where it is damaged.
[[nodiscard]] result<std::uint64_t> count_entries(const storage::transaction& txn,
                                                  const storage::main_tables& tables, std::uint32_t queue,
                                                  std::uint64_t number);
/// Erases a block, whatever it holds.
[[nodiscard]] result<void> erase_block(storage::write_transaction& txn, const storage::main_tables& tables,
                                       std::uint32_t queue, std::uint64_t number);
/// Erases up to `most` rows of the queue, its state last. Returns whether all are gone.
[[nodiscard]] result<bool> erase_some(storage::write_transaction& txn, const storage::main_tables& tables,
                                      std::uint32_t queue, std::size_t most);
/// The ids of all queues that have rows.
[[nodiscard]] result<std::vector<std::uint32_t>> stored_queues(const storage::transaction& txn,
                                                               const storage::main_tables& tables);

}  // namespace levada::queue
