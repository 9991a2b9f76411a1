#pragma once

/// @file
/// The stored form of a queue: references to messages, packed into blocks, which it may share with others
/// (see shared_index.hpp), and one row of state.

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "storage/main_environment.hpp"

namespace levada::queue {

/// Where a message stands: in the log of the exchange that it was published to; or, of a share group, in that
/// of a topic.
struct reference {
  std::uint32_t log = 0;
  std::uint16_t partition = 0;
  /// How often it has been handed out, where that is counted: by share groups, before they do.
  std::uint16_t deliveries = 0;
  std::uint64_t offset = 0;
  /// When it expires, in microseconds since 1970; 0: never.
  std::int64_t expires = 0;
  /// Of the message's value: what limits of queues count.
  std::uint32_t bytes = 0;
  /// Once it has been returned to a queue with a redelivery delay: the second, since 1970, from which on it
  /// is ready again; 0: it has not.
  std::uint32_t not_before = 0;
};
static_assert(sizeof(reference) == 32);

/// Entries of one block. A queue's positions count from 0 and are never used twice; position p stands in
/// block p / 62 at place p % 62.
inline constexpr std::uint64_t block_entries = 62;

/// A queue with priorities has a lane for each, that of the highest first: so the order of positions is that
/// in which entries are handed out. Others have one. Positions of lane n count from `lane_begin(n)`.
inline constexpr std::uint64_t lane_entries = (std::uint64_t{1} << 50) * block_entries;
[[nodiscard]] constexpr std::uint64_t lane_begin(std::size_t lane) noexcept {
  return lane * lane_entries;
}
[[nodiscard]] constexpr std::size_t lane_of(std::uint64_t position) noexcept {
  return position / lane_entries;
}

/// A block in memory.
struct block {
  std::uint64_t number = 0;
  /// Entries that are done: acknowledged or discarded.
  std::bitset<64> settled;
  /// Entries that have certainly been delivered before (noted when the store is closed in good order).
  std::bitset<64> delivered;
  std::vector<reference> entries;
};

/// How far a lane has come; counted from its beginning.
struct lane_row {
  std::uint64_t tail = 0;
  std::uint64_t exposed = 0;
  bool operator==(const lane_row&) const = default;
};

/// The row of state.
struct queue_row {
  /// The next position: one beyond the newest entry. Of the first lane, as `exposed`.
  std::uint64_t tail = 0;
  /// How many entries are settled, of all lanes.
  std::uint64_t settled = 0;
  /// Entries below may have been delivered. Raised in the commit that appends while the queue has a consumer,
  /// and before a consumer sees older entries: so after a crash no delivered message passes for a new one.
  std::uint64_t exposed = 0;
  /// `reference::bytes` of all that is not settled.
  std::uint64_t bytes = 0;
  /// The lanes behind the first.
  std::vector<lane_row> further = {};
  /// Where handing out ends for now, by lane, as something is being filled in before the rest; empty: at the
  /// tails. Not stored with the row.
  std::vector<std::uint64_t> bars = {};
  /// The shared index whose new entries are the queue's; 0: none. Such a queue has one lane, and its row need
  /// not be written for what comes to it that way.
  std::uint32_t index = 0;
  /// Whether everything that comes that way counts as delivered at once, as there is a consumer.
  bool exposes = false;

  [[nodiscard]] std::size_t lanes() const noexcept { return 1 + further.size(); }
  [[nodiscard]] lane_row lane(std::size_t n) const {
    return n == 0 ? lane_row{tail, exposed} : further.at(n - 1);
  }
  /// Makes a lane, and those before it, if there are not so many.
  void set_lane(std::size_t n, const lane_row& to) {
    if (n > further.size()) further.resize(n);
    if (n > 0) {
      further[n - 1] = to;
    } else {
      tail = to.tail;
      exposed = to.exposed;
    }
  }
  /// One beyond the lane's last entry that may be handed out now.
  [[nodiscard]] std::uint64_t end(std::size_t n) const { return n < bars.size() ? bars[n] : lane(n).tail; }
  /// Positions that there have been.
  [[nodiscard]] std::uint64_t entered() const noexcept {
    std::uint64_t sum = tail;
    for (const lane_row& l : further) sum += l.tail;
    return sum;
  }
  /// Messages that are left.
  [[nodiscard]] std::uint64_t left() const noexcept { return entered() - settled; }
  [[nodiscard]] bool all_exposed() const {
    for (std::size_t n = 0; n < lanes(); ++n) {
      if (lane(n).exposed < end(n)) return false;
    }
    return true;
  }
  void expose_all() {
    for (std::size_t n = 0; n < lanes(); ++n) set_lane(n, {lane(n).tail, std::max(lane(n).exposed, end(n))});
  }
};
/// Most lanes of a queue: as many as there are priorities.
inline constexpr std::size_t lanes_max = 256;

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

/// Appends references to a lane, moves its tail and adds their bytes; writes blocks, not the row. For a queue
/// that is not at a shared index, and for these indexes themselves.
[[nodiscard]] result<void> append(storage::write_transaction& txn, const storage::main_tables& tables,
                                  std::uint32_t queue, queue_row& row, std::span<const reference> entries,
                                  std::size_t lane = 0);
/// Writes references to positions of a lane from `at` on, counted from its beginning: positions that have
/// been kept free there. Adds their bytes; writes blocks, not the row.
[[nodiscard]] result<void> fill(storage::write_transaction& txn, const storage::main_tables& tables,
                                std::uint32_t queue, queue_row& row, std::size_t lane, std::uint64_t at,
                                std::span<const reference> entries);
/// Has what follows position `at` of a lane begin with a block of its own: the rest of the block before has
/// entries that are settled, unless `at` is the first of a block. Writes the block, not the row.
[[nodiscard]] result<void> complete_block(storage::write_transaction& txn, const storage::main_tables& tables,
                                          std::uint32_t queue, std::size_t lane, std::uint64_t at);
/// The first position at or after `position` with which a block begins.
[[nodiscard]] constexpr std::uint64_t block_begin_from(std::uint64_t position) noexcept {
  return (position + block_entries - 1) / block_entries * block_entries;
}
struct settled_amount {
  std::uint64_t bytes = 0;  ///< of what was not settled before
  /// The shared index of each block that the queue has no more use for.
  std::vector<std::uint32_t> done_with;
  /// Shared indexes of which the queue has nothing any more.
  std::vector<std::uint32_t> left;
};
/// Marks positions, which are sorted, as settled; erases full blocks of which nothing is left.
[[nodiscard]] result<settled_amount> settle(storage::write_transaction& txn,
                                            const storage::main_tables& tables, std::uint32_t queue,
                                            std::span<const std::uint64_t> positions);
/// Has nothing be left of a block, whatever it holds; also where it cannot be read.
[[nodiscard]] result<void> settle_block(storage::write_transaction& txn, const storage::main_tables& tables,
                                        std::uint32_t queue, std::uint64_t number);
/// Marks positions, which are sorted, as delivered.
[[nodiscard]] result<void> mark_delivered(storage::write_transaction& txn, const storage::main_tables& tables,
                                          std::uint32_t queue, std::span<const std::uint64_t> positions);
/// Counts one more delivery of each of these positions, which are sorted.
[[nodiscard]] result<void> count_deliveries(storage::write_transaction& txn,
                                            const storage::main_tables& tables, std::uint32_t queue,
                                            std::span<const std::uint64_t> positions);
/// Notes from which second on an entry is ready again.
[[nodiscard]] result<void> postpone(storage::write_transaction& txn, const storage::main_tables& tables,
                                    std::uint32_t queue, std::uint64_t position, std::uint32_t not_before);
/// How many entries a block has, by its size and layout alone, also where it is damaged.
[[nodiscard]] result<std::uint64_t> count_entries(const storage::transaction& txn,
                                                  const storage::main_tables& tables, std::uint32_t queue,
                                                  std::uint64_t number);
/// Erases the row that the queue itself has of a block, whatever it holds.
[[nodiscard]] result<void> erase_block(storage::write_transaction& txn, const storage::main_tables& tables,
                                       std::uint32_t queue, std::uint64_t number);
/// Erases up to `most` rows of the queue, its state last. Returns whether all are gone.
[[nodiscard]] result<bool> erase_some(storage::write_transaction& txn, const storage::main_tables& tables,
                                      std::uint32_t queue, std::size_t most);
/// Calls `each(position, reference)` for what is not settled in up to `most` blocks from number `from` on, by
/// position. Returns the number to go on with; nothing at the end.
template <class Each>
[[nodiscard]] result<std::optional<std::uint64_t>> for_some_unsettled(const storage::transaction& txn,
                                                                      const storage::main_tables& tables,
                                                                      std::uint32_t queue, std::uint64_t from,
                                                                      std::size_t most, Each each) {
  for (; most > 0; --most) {
    auto number = first_block(txn, tables, queue, from);
    if (!number || !*number) return number;
    auto found = read_block(txn, tables, queue, **number);
    if (!found) return found.error();
    from = **number + 1;
    if (!*found) continue;
    for (std::size_t i = 0; i < (*found)->entries.size(); ++i) {
      if (!(*found)->settled.test(i)) each(**number * block_entries + i, (*found)->entries[i]);
    }
  }
  return std::optional{from};
}
/// The same for all that is not settled.
template <class Each>
[[nodiscard]] result<void> for_each_unsettled(const storage::transaction& txn,
                                              const storage::main_tables& tables, std::uint32_t queue,
                                              Each each) {
  auto done = for_some_unsettled(txn, tables, queue, 0, std::numeric_limits<std::size_t>::max(), each);
  if (!done) return done.error();
  return {};
}
/// The ids of all queues that have rows.
[[nodiscard]] result<std::vector<std::uint32_t>> stored_queues(const storage::transaction& txn,
                                                               const storage::main_tables& tables);

}  // namespace levada::queue
