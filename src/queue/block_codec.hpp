#pragma once

/// @file
/// The stored form of one block of a queue; see docs/storage-format.md.

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include "queue/queue_blocks.hpp"
#include "storage/main_environment.hpp"
#include "storage/row.hpp"

namespace levada::queue {

/// Of the table `queues`.
struct block_key {
  std::uint64_t queue_big_endian;
  std::uint64_t number_big_endian;

  block_key() = default;
  block_key(std::uint32_t queue, std::uint64_t number) noexcept
      : queue_big_endian{storage::big_endian(queue)}, number_big_endian{storage::big_endian(number)} {}
  [[nodiscard]] storage::bytes view() const noexcept { return std::as_bytes(std::span{this, 1}); }
};
static_assert(sizeof(block_key) == 16);

/// The state stands behind all blocks of its queue, and before it what it shares with others; before these
/// the lanes that the state has no room for, which take so many rows at most.
inline constexpr std::uint64_t state_number = std::numeric_limits<std::uint64_t>::max();
inline constexpr std::uint64_t shares_number = state_number - 1;
inline constexpr std::uint64_t last_lanes_number = shares_number - 1;
inline constexpr std::uint64_t lanes_rows_max = 2;
inline constexpr std::uint64_t blocks_end = shares_number - lanes_rows_max;

/// Of a value that begins with it.
[[nodiscard]] std::uint64_t checksum_of(const block_key& key, storage::bytes value) noexcept;
[[nodiscard]] error damaged_queue_error(std::uint32_t queue, std::string_view what);

/// What the queue itself has of a block; nothing where it has no such row. One without entries has the bits
/// alone, of a block that it shares.
[[nodiscard]] result<std::optional<block>> read_own_block(const storage::transaction& txn,
                                                          const storage::main_tables& tables,
                                                          std::uint32_t queue, std::uint64_t number);
[[nodiscard]] result<void> write_own_block(storage::write_transaction& txn,
                                           const storage::main_tables& tables, std::uint32_t queue,
                                           const block& b);
/// How many entries that row has, by its size and layout alone, also where it is damaged; nothing where there
/// is none.
[[nodiscard]] result<std::optional<std::uint64_t>> count_own_entries(const storage::transaction& txn,
                                                                     const storage::main_tables& tables,
                                                                     std::uint32_t queue,
                                                                     std::uint64_t number);
/// The number of the first row that the queue itself has of a block, at or after `from`.
[[nodiscard]] result<std::optional<std::uint64_t>> first_own_block(const storage::transaction& txn,
                                                                   const storage::main_tables& tables,
                                                                   std::uint32_t queue, std::uint64_t from);

}  // namespace levada::queue
