#include "queue/queue_repair.hpp"

#include <algorithm>
#include <utility>

#include "queue/block_codec.hpp"
#include "queue/shared_index.hpp"

namespace levada::queue {
namespace {

/// Calls `each(number, block)` for all blocks, with nothing for one that is damaged. What a queue shares is
/// passed over where it has lost the note of it.
template <class Each>
result<void> for_each_block(const storage::transaction& txn, const storage::main_tables& tables,
                            std::uint32_t queue, Each each) {
  auto shares = read_shares(txn, tables, queue);
  if (!shares && shares.error() != errc::damaged) return shares.error();
  for (std::uint64_t from = 0;;) {
    auto number = shares ? first_block(txn, tables, queue, from) : first_own_block(txn, tables, queue, from);
    if (!number) return number.error();
    if (!*number) return {};
    auto found =
        shares ? read_block(txn, tables, queue, **number) : read_own_block(txn, tables, queue, **number);
    if (!found && found.error() != errc::damaged) return found.error();
    from = **number + 1;
    if (found && !*found) continue;  // settled
    const bool lost = !found || (*found)->entries.empty();
    each(**number, lost ? std::optional<block>{} : std::move(*found));
  }
}

bool reaches_no_further(const queue_row& a, const queue_row& b) {
  for (std::size_t n = 0; n < a.lanes(); ++n) {
    if (a.lane(n).tail > (n < b.lanes() ? b.lane(n).tail : 0)) return false;
  }
  return true;
}

}  // namespace

result<void> for_each_readable(const storage::transaction& txn, const storage::main_tables& tables,
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
                                                   const std::function<bool(const reference&)>& is_lost,
                                                   const std::vector<std::uint64_t>& kept_free) {
  damaged_queue q;
  q.id = queue;
  std::uint64_t unsettled = 0;
  std::uint64_t bytes = 0;  // of what is left
  queue_row found_row;      // how far the lanes reach
  const auto reaches = [&found_row](std::uint64_t end) {
    const std::size_t lane = lane_of(end - 1);
    found_row.set_lane(lane, {end - lane_begin(lane), 0});
  };
  auto walked =
      for_each_block(txn, tables, queue, [&](std::uint64_t number, const std::optional<block>& found) {
        if (!found) {
          // How many entries it had cannot be told; positions are never used twice.
          q.blocks.push_back(number);
          reaches((number + 1) * block_entries);
          return;
        }
        if (!found->entries.empty()) reaches(number * block_entries + found->entries.size());
        for (std::size_t i = 0; i < found->entries.size(); ++i) {
          if (found->settled.test(i)) continue;
          ++unsettled;
          if (is_lost(found->entries[i])) {
            q.positions.push_back(number * block_entries + i);
          } else {
            bytes += found->entries[i].bytes;
          }
        }
      });
  if (!walked) return walked.error();
  for (std::size_t lane = 0; lane < kept_free.size(); ++lane) {
    const std::uint64_t found_end = lane < found_row.lanes() ? found_row.lane(lane).tail : 0;
    if (kept_free[lane] > found_end) reaches(lane_begin(lane) + kept_free[lane]);
  }
  auto row = read_row(txn, tables, queue);
  if (!row && row.error() != errc::damaged) return row.error();
  const queue_row known = row ? row->value_or(queue_row{}) : queue_row{};
  const std::uint64_t ready = known.left();
  const bool believed = row.has_value() && known.settled <= known.entered() && ready >= unsettled &&
                        (q.blocks.empty() ? ready == unsettled && reaches_no_further(found_row, known)
                                          : ready - unsettled <= q.blocks.size() * block_entries);
  if (believed && q.blocks.empty() && q.positions.empty() && known.bytes == bytes)
    return std::optional<damaged_queue>{};
  q.count = q.positions.size();
  if (believed) {
    q.count += ready - unsettled;
    q.row = known;
    for (std::size_t n = 0; n < found_row.lanes(); ++n) {
      lane_row lane = n < known.lanes() ? known.lane(n) : lane_row{};
      lane.tail = std::max(lane.tail, found_row.lane(n).tail);
      q.row.set_lane(n, lane);
    }
  } else {
    for (const std::uint64_t number : q.blocks) {
      auto entries = count_entries(txn, tables, queue, number);
      if (!entries) return entries.error();
      q.count += *entries;
    }
    // Anything may have been delivered.
    q.row = found_row;
    q.row.expose_all();
  }
  // Where its end is not known, nor is that of the index.
  q.shares = believed && q.row.tail == known.tail;
  if (!q.shares) {
    q.row.index = 0;
    q.row.exposes = false;
  }
  q.row.settled = q.row.entered() - (unsettled - q.positions.size());
  q.row.bytes = bytes;
  return std::optional{std::move(q)};
}

result<void> repair_queue(storage::write_transaction& txn, const storage::main_tables& tables,
                          const damaged_queue& queue) {
  // What several have is left as it is.
  if (!queue.shares) {
    auto owned = own_all(txn, tables, queue.id, [&queue](std::uint64_t number) {
      return std::find(queue.blocks.begin(), queue.blocks.end(), number) != queue.blocks.end();
    });
    if (!owned) return owned;
  }
  for (const std::uint64_t number : queue.blocks) {
    auto settled = queue.shares ? settle_block(txn, tables, queue.id, number)
                                : erase_block(txn, tables, queue.id, number);
    if (!settled) return settled;
  }
  if (auto settled = settle(txn, tables, queue.id, queue.positions); !settled) return settled.error();
  return write_row(txn, tables, queue.id, queue.row);
}

}  // namespace levada::queue
