#include "queue/queue_repair.hpp"

#include <algorithm>
#include <utility>

namespace levada::queue {
namespace {

/// Calls `each(number, block)` for all blocks, with nothing for one that is damaged.
template <class Each>
result<void> for_each_block(const storage::transaction& txn, const storage::main_tables& tables,
                            std::uint32_t queue, Each each) {
  for (std::uint64_t from = 0;;) {
    auto number = first_block(txn, tables, queue, from);
    if (!number) return number.error();
    if (!*number) return {};
    auto found = read_block(txn, tables, queue, **number);
    if (!found && found.error() != errc::damaged) return found.error();
    each(**number, found && *found ? std::move(*found) : std::optional<block>{});
    from = **number + 1;
  }
}

}  // namespace

result<void> for_each_unsettled(const storage::transaction& txn, const storage::main_tables& tables,
                                std::uint32_t queue, const std::function<void(const reference&)>& each) {
  return for_each_block(txn, tables, queue, [&each](std::uint64_t, const std::optional<block>& found) {
    if (!found) return;
    for (std::size_t i = 0; i < found->entries.size(); ++i) {
      if (!found->settled.test(i)) each(found->entries[i]);
    }
  });
}

result<std::optional<damaged_queue>> examine_queue(const storage::transaction& txn,
                                                   const storage::main_tables& tables, std::uint32_t queue,
                                                   const std::function<bool(const reference&)>& is_lost) {
  damaged_queue q;
  q.id = queue;
  std::uint64_t unsettled = 0;
  std::uint64_t tail = 0;
  auto walked =
      for_each_block(txn, tables, queue, [&](std::uint64_t number, const std::optional<block>& found) {
        if (!found) {
          // How many entries it had cannot be told; positions are never used twice.
          q.blocks.push_back(number);
          tail = (number + 1) * block_entries;
          return;
        }
        tail = number * block_entries + found->entries.size();
        for (std::size_t i = 0; i < found->entries.size(); ++i) {
          if (found->settled.test(i)) continue;
          ++unsettled;
          if (is_lost(found->entries[i])) q.positions.push_back(number * block_entries + i);
        }
      });
  if (!walked) return walked.error();
  auto row = read_row(txn, tables, queue);
  if (!row && row.error() != errc::damaged) return row.error();
  const queue_row known = row ? row->value_or(queue_row{}) : queue_row{};
  const std::uint64_t ready = known.tail - known.settled;
  const bool believed = row.has_value() && known.settled <= known.tail && ready >= unsettled &&
                        (q.blocks.empty() ? ready == unsettled && tail <= known.tail
                                          : ready - unsettled <= q.blocks.size() * block_entries);
  if (believed && q.blocks.empty() && q.positions.empty()) return std::optional<damaged_queue>{};
  q.count = q.positions.size();
  if (believed) {
    q.count += ready - unsettled;
    q.row = known;
    q.row.tail = std::max(known.tail, tail);
  } else {
    for (const std::uint64_t number : q.blocks) {
      auto entries = count_entries(txn, tables, queue, number);
      if (!entries) return entries.error();
      q.count += *entries;
    }
    // Anything may have been delivered.
    q.row.tail = q.row.exposed = tail;
  }
  q.row.settled = q.row.tail - (unsettled - q.positions.size());
  return std::optional{std::move(q)};
}

result<void> repair_queue(storage::write_transaction& txn, const storage::main_tables& tables,
                          const damaged_queue& queue) {
  for (const std::uint64_t number : queue.blocks) {
    if (auto erased = erase_block(txn, tables, queue.id, number); !erased) return erased;
  }
  if (auto settled = settle(txn, tables, queue.id, queue.positions); !settled) return settled;
  return write_row(txn, tables, queue.id, queue.row);
}

}  // namespace levada::queue
