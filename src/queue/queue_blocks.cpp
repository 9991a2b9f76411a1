#include "queue/queue_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "queue/block_codec.hpp"
#include "queue/shared_index.hpp"
#include "storage/row.hpp"

namespace levada::queue {
namespace {

struct stored_row {
  std::uint64_t checksum;
  std::uint64_t tail;
  std::uint64_t settled;
  std::uint64_t exposed;
  std::uint64_t bytes;
};
/// How many lanes, behind the first, a row tells: the state's, and where that is full, rows of lanes alone.
constexpr std::size_t lanes_in_row = 100;
static_assert(sizeof(stored_row) + lanes_in_row * sizeof(lane_row) <= storage::row_bytes_max);
static_assert(lanes_max - 1 <= lanes_in_row * (1 + lanes_rows_max));
/// Follows where the queue is at a shared index: what the row above is written beside. What that has got
/// since, the queue has got, too.
struct stored_membership {
  std::uint64_t index_tail;
  std::uint64_t index_bytes;
  std::uint64_t exposes;
};
static_assert(sizeof(stored_membership) % sizeof(lane_row) != 0, "told from lanes by its size");

/// A queue's blocks, with what it shares.
class all_blocks {
 public:
  all_blocks(const storage::transaction& txn, const storage::main_tables& tables,
             std::uint32_t queue) noexcept
      : txn_{txn}, tables_{tables}, queue_{queue} {}

  struct found_block {
    std::optional<block> whole;
    std::optional<std::size_t> own;  ///< entries in the queue's own row; nothing: there is none
    /// Where it lies, if some of it is read from there.
    const shared_span* shared = nullptr;
  };
  [[nodiscard]] result<found_block> read(std::uint64_t number) {
    found_block found;
    auto own = read_own_block(txn_, tables_, queue_, number);
    if (!own) return own.error();
    if (*own) found.own = (*own)->entries.size();
    // Of one that is settled, nobody wants to know what it was.
    if (found.own == 0U && (*own)->settled.count() == block_entries) return found;
    found.whole = std::move(*own);
    if (found.own == block_entries) return found;
    auto all = shares();
    if (!all) return all.error();
    found.shared = std::as_const(**all).find(number);
    if (found.shared == nullptr) {
      if (found.own == 0U) return damaged_queue_error(queue_, "a block has lost what it shares");
      return found;
    }
    auto rest = read_own_block(txn_, tables_, found.shared->index, number + found.shared->shift);
    if (!rest) {
      if (rest.error() != errc::damaged) return rest.error();
      return damaged_queue_error(queue_, rest.error().message());
    }
    if (!*rest) {
      // Where the queue is at the index, none may have come yet.
      if (found.own == 0U || found.shared->until != shared_span::open)
        return damaged_queue_error(queue_, "a block that it shares is missing");
      return found;
    }
    if (!found.whole) found.whole.emplace().number = number;
    const std::vector<reference>& from = (*rest)->entries;
    const auto known = static_cast<std::ptrdiff_t>(std::min(found.own.value_or(0), from.size()));
    found.whole->entries.insert(found.whole->entries.end(), from.begin() + known, from.end());
    return found;
  }
  [[nodiscard]] result<shared_spans*> shares() {
    if (!shares_) {
      auto read = read_shares(txn_, tables_, queue_);
      if (!read) return read.error();
      shares_ = *read;
    }
    return &*shares_;
  }

 private:
  const storage::transaction& txn_;
  const storage::main_tables& tables_;
  const std::uint32_t queue_;
  std::optional<shared_spans> shares_;
};

/// So many blocks at most of a stretch are settled while its first is not.
constexpr std::uint64_t settled_in_stretch_max = 64;

/// What becomes of a block.
enum class block_change {
  settled,  ///< bits: it may have had its time
  marked,   ///< bits
  altered,  ///< entries
};

/// Changes blocks of a queue, whether they are shared or its own.
class block_changes {
 public:
  block_changes(storage::write_transaction& txn, const storage::main_tables& tables, std::uint32_t queue,
                block_change what) noexcept
      : txn_{txn}, tables_{tables}, queue_{queue}, what_{what}, blocks_{txn, tables, queue} {}

  /// Reads each block that holds one of the sorted positions, lets `change` alter it, and writes it back.
  /// Positions of blocks that are gone are passed over.
  [[nodiscard]] result<void> run(std::span<const std::uint64_t> positions,
                                 const std::function<void(block&, std::size_t)>& change) {
    for (std::size_t i = 0; i < positions.size();) {
      const std::uint64_t number = positions[i] / block_entries;
      auto b = blocks_.read(number);
      if (!b) return b.error();
      for (; i < positions.size() && positions[i] / block_entries == number; ++i) {
        if (b->whole) change(*b->whole, positions[i] % block_entries);
      }
      if (!b->whole) continue;
      if (auto written = write(*b); !written) return written;
    }
    if (!shares_changed_) return {};
    auto shares = blocks_.shares();
    if (!shares) return shares.error();
    return write_shares(txn_, tables_, queue_, **shares);
  }
  /// Has nothing be left of a block, whatever it holds.
  [[nodiscard]] result<void> settle_whole(std::uint64_t number) {
    all_blocks::found_block b;
    b.own = 0;
    b.whole.emplace().number = number;
    for (std::size_t place = 0; place < block_entries; ++place) b.whole->settled.set(place);
    if (auto written = write_gone(b); !written) return written;
    if (!shares_changed_) return {};
    return write_shares(txn_, tables_, queue_, **blocks_.shares());
  }
  /// The index of each shared block that the queue has no more use for.
  [[nodiscard]] std::vector<std::uint32_t>& done_with() noexcept { return done_with_; }
  /// Indexes of which the queue has nothing any more.
  [[nodiscard]] std::vector<std::uint32_t>& left() noexcept { return left_; }

 private:
  [[nodiscard]] result<void> write(const all_blocks::found_block& b) {
    const block& whole = *b.whole;
    if (what_ == block_change::settled && whole.entries.size() == block_entries &&
        whole.settled.count() == block_entries) {
      return write_gone(b);
    }
    const bool bits_alone = b.shared != nullptr && b.own.value_or(0) == 0 && what_ != block_change::altered;
    if (!bits_alone) return write_own_block(txn_, tables_, queue_, whole);
    return write_own_block(txn_, tables_, queue_, {whole.number, whole.settled, whole.delivered, {}});
  }
  /// Nothing of it is left. Where it is shared, that has to be told as long as something before it is left.
  [[nodiscard]] result<void> write_gone(const all_blocks::found_block& b) {
    const block& whole = *b.whole;
    auto shares = blocks_.shares();
    if (!shares) return shares.error();
    shared_span* const shared = (*shares)->find(whole.number);
    while (shared != nullptr && whole.number - shared->from > settled_in_stretch_max) {
      if (auto taken = take_over_first(shared); !taken) return taken;
    }
    if (shared != nullptr && shared->from < whole.number)
      return write_own_block(txn_, tables_, queue_, {whole.number, whole.settled, whole.delivered, {}});
    if (b.own) {
      if (auto erased = erase_block(txn_, tables_, queue_, whole.number); !erased) return erased;
    }
    return shared == nullptr ? result<void>{} : move_on(shared);
  }
  /// Makes the first block of a stretch, of which something is left, one that the queue has itself: so that
  /// one message that stays for long does not keep all that has come behind it.
  [[nodiscard]] result<void> take_over_first(shared_span* span) {
    auto first = blocks_.read(span->from);
    if (!first) return first.error();
    if (first->whole && first->own != block_entries) {
      if (auto written = write_own_block(txn_, tables_, queue_, *first->whole); !written) return written;
    }
    return move_on(span);
  }
  /// Has a stretch begin with the next block of which anything is left.
  [[nodiscard]] result<void> move_on(shared_span* span) {
    shares_changed_ = true;
    for (;;) {
      done_with_.push_back(span->index);
      if (++span->from == span->until) {
        const std::uint32_t index = span->index;
        shared_spans& all = **blocks_.shares();
        all.erase(span);
        if (!all.needed_of(index)) left_.push_back(index);
        return {};
      }
      auto next = read_own_block(txn_, tables_, queue_, span->from);
      if (!next) return next.error();
      if (!*next || (*next)->settled.count() < block_entries) return {};
      if (auto erased = erase_block(txn_, tables_, queue_, span->from); !erased) return erased;
    }
  }

  storage::write_transaction& txn_;
  const storage::main_tables& tables_;
  const std::uint32_t queue_;
  const block_change what_;
  all_blocks blocks_;
  bool shares_changed_ = false;
  std::vector<std::uint32_t> done_with_;
  std::vector<std::uint32_t> left_;
};

/// Adds the lanes that stand in rows of their own, where those before are full.
result<void> read_more_lanes(const storage::transaction& txn, const storage::main_tables& tables,
                             std::uint32_t queue, std::vector<lane_row>& lanes) {
  for (std::uint64_t n = 0; n < lanes_rows_max && lanes.size() == lanes_in_row * (n + 1); ++n) {
    const block_key key{queue, last_lanes_number - n};
    auto value = txn.get(tables.queues, key.view());
    if (!value) return value.error();
    if (!*value) return {};
    std::uint64_t checksum = 0;
    const std::size_t size = (*value)->size();
    if (size <= sizeof checksum || (size - sizeof checksum) % sizeof(lane_row) != 0 ||
        (size - sizeof checksum) / sizeof(lane_row) > lanes_in_row) {
      return damaged_queue_error(queue, "its lanes have an impossible size");
    }
    std::memcpy(&checksum, (*value)->data(), sizeof checksum);
    if (checksum != checksum_of(key, **value))
      return damaged_queue_error(queue, "its lanes have a wrong checksum");
    const std::size_t before = lanes.size();
    lanes.resize(before + (size - sizeof checksum) / sizeof(lane_row));
    std::memcpy(lanes.data() + before, (*value)->data() + sizeof checksum, size - sizeof checksum);
  }
  return {};
}

result<void> write_more_lanes(storage::write_transaction& txn, const storage::main_tables& tables,
                              std::uint32_t queue, std::span<const lane_row> lanes) {
  for (std::uint64_t n = 0; lanes.size() > lanes_in_row * (n + 1) && n < lanes_rows_max; ++n) {
    const auto some = lanes.subspan(lanes_in_row * (n + 1));
    const std::size_t bytes = std::min(some.size(), lanes_in_row) * sizeof(lane_row);
    std::array<std::byte, sizeof(std::uint64_t) + lanes_in_row * sizeof(lane_row)> buffer;
    std::memcpy(buffer.data() + sizeof(std::uint64_t), some.data(), bytes);
    const block_key key{queue, last_lanes_number - n};
    const storage::bytes value{buffer.data(), sizeof(std::uint64_t) + bytes};
    const std::uint64_t checksum = checksum_of(key, value);
    std::memcpy(buffer.data(), &checksum, sizeof checksum);
    if (auto written = txn.put(tables.queues, key.view(), value); !written) return written;
  }
  return {};
}

}  // namespace

result<std::optional<queue_row>> read_row(const storage::transaction& txn, const storage::main_tables& tables,
                                          std::uint32_t queue) {
  const block_key key{queue, state_number};
  auto value = txn.get(tables.queues, key.view());
  if (!value) return value.error();
  if (!*value) return std::optional<queue_row>{};
  stored_row stored{};
  const std::size_t size = (*value)->size();
  const bool at_index = size == sizeof stored + sizeof(stored_membership);
  if (size < sizeof stored || (!at_index && (size - sizeof stored) % sizeof(lane_row) != 0) ||
      (size - sizeof stored) / sizeof(lane_row) > lanes_in_row) {
    return damaged_queue_error(queue, "its state has an impossible size");
  }
  std::memcpy(&stored, (*value)->data(), sizeof stored);
  if (stored.checksum != checksum_of(key, **value))
    return damaged_queue_error(queue, "its state has a wrong checksum");
  queue_row row{stored.tail, stored.settled, stored.exposed, stored.bytes};
  if (at_index) {
    stored_membership with{};
    std::memcpy(&with, (*value)->data() + sizeof stored, sizeof with);
    auto shares = read_shares(txn, tables, queue);
    if (!shares) return shares.error();
    const shared_span* const open = shares->open();
    if (open == nullptr) return damaged_queue_error(queue, "it has lost its shared index");
    auto index = read_row(txn, tables, open->index);
    if (!index && index.error() != errc::damaged) return index.error();
    if (!index) return damaged_queue_error(queue, index.error().message());
    if (!*index) return damaged_queue_error(queue, "its shared index has no state");
    row.index = open->index;
    row.tail += (*index)->tail - with.index_tail;
    row.bytes += (*index)->bytes - with.index_bytes;
    row.exposes = with.exposes != 0;
    if (row.exposes) row.exposed = row.tail;
    return std::optional{std::move(row)};
  }
  row.further.resize((size - sizeof stored) / sizeof(lane_row));
  if (!row.further.empty())
    std::memcpy(row.further.data(), (*value)->data() + sizeof stored, size - sizeof stored);
  if (auto more = read_more_lanes(txn, tables, queue, row.further); !more) return more.error();
  return std::optional{std::move(row)};
}

result<void> write_row(storage::write_transaction& txn, const storage::main_tables& tables,
                       std::uint32_t queue, const queue_row& row) {
  const block_key key{queue, state_number};
  std::array<std::byte, sizeof(stored_row) + lanes_in_row * sizeof(lane_row)> buffer;
  stored_row stored{0, row.tail, row.settled, row.exposed, row.bytes};
  std::memcpy(buffer.data(), &stored, sizeof stored);
  std::size_t more = 0;
  if (row.index != 0) {
    auto index = read_row(txn, tables, row.index);
    if (!index) return index.error();
    if (!*index) return damaged_queue_error(queue, "its shared index has no state");
    const stored_membership with{(*index)->tail, (*index)->bytes, row.exposes ? 1U : 0U};
    more = sizeof with;
    std::memcpy(buffer.data() + sizeof stored, &with, more);
  } else if (!row.further.empty()) {
    more = std::min(row.further.size(), lanes_in_row) * sizeof(lane_row);
    std::memcpy(buffer.data() + sizeof stored, row.further.data(), more);
    if (auto rest = write_more_lanes(txn, tables, queue, row.further); !rest) return rest;
  }
  const storage::bytes value{buffer.data(), sizeof stored + more};
  stored.checksum = checksum_of(key, value);
  std::memcpy(buffer.data(), &stored.checksum, sizeof stored.checksum);
  return txn.put(tables.queues, key.view(), value);
}

result<std::optional<block>> read_block(const storage::transaction& txn, const storage::main_tables& tables,
                                        std::uint32_t queue, std::uint64_t number) {
  auto found = all_blocks{txn, tables, queue}.read(number);
  if (!found) return found.error();
  return std::move(found->whole);
}

result<std::optional<std::uint64_t>> first_block(const storage::transaction& txn,
                                                 const storage::main_tables& tables, std::uint32_t queue,
                                                 std::uint64_t from) {
  auto first = first_own_block(txn, tables, queue, from);
  if (!first) return first;
  auto shares = read_shares(txn, tables, queue);
  if (!shares) return shares.error();
  for (const shared_span& span : *shares) {
    const std::uint64_t begin = std::max(from, span.from);
    if (begin >= span.until || begin >= first->value_or(span.until)) continue;
    auto shared = first_own_block(txn, tables, span.index, begin + span.shift);
    if (!shared) return shared;
    if (!*shared) continue;
    const std::uint64_t number = **shared - span.shift;
    if (number < span.until) first = std::min(first->value_or(number), number);
  }
  return first;
}

namespace {

/// The block in which position `at` of a lane stands, with the entries before that.
result<block> block_up_to(const storage::transaction& txn, const storage::main_tables& tables,
                          std::uint32_t queue, std::size_t lane, std::uint64_t at) {
  const std::uint64_t number = (lane_begin(lane) + at) / block_entries;
  if (at % block_entries == 0) return block{number, {}, {}, {}};
  auto stored = read_own_block(txn, tables, queue, number);
  if (!stored) return stored.error();
  if (!*stored || (*stored)->entries.size() != at % block_entries)
    return damaged_queue_error(queue, "its last block is not where it ends");
  return std::move(**stored);
}

}  // namespace

result<void> fill(storage::write_transaction& txn, const storage::main_tables& tables, std::uint32_t queue,
                  queue_row& row, std::size_t lane, std::uint64_t at, std::span<const reference> entries) {
  while (!entries.empty()) {
    auto filled = block_up_to(txn, tables, queue, lane, at);
    if (!filled) return filled.error();
    block& b = *filled;
    const std::size_t place = at % block_entries;
    const std::size_t n = std::min<std::size_t>(entries.size(), block_entries - place);
    b.entries.insert(b.entries.end(), entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(n));
    if (auto written = write_own_block(txn, tables, queue, b); !written) return written;
    for (const reference& e : entries.first(n)) row.bytes += e.bytes;
    entries = entries.subspan(n);
    at += n;
  }
  return {};
}

result<void> append(storage::write_transaction& txn, const storage::main_tables& tables, std::uint32_t queue,
                    queue_row& row, std::span<const reference> entries, std::size_t lane) {
  lane_row state = lane < row.lanes() ? row.lane(lane) : lane_row{};
  if (auto filled = fill(txn, tables, queue, row, lane, state.tail, entries); !filled) return filled;
  state.tail += entries.size();
  row.set_lane(lane, state);
  return {};
}

result<void> complete_block(storage::write_transaction& txn, const storage::main_tables& tables,
                            std::uint32_t queue, std::size_t lane, std::uint64_t at) {
  if (at % block_entries == 0) return {};
  auto last = block_up_to(txn, tables, queue, lane, at);
  if (!last) return last.error();
  for (std::size_t place = last->entries.size(); place < block_entries; ++place) last->settled.set(place);
  if (last->settled.count() == block_entries) return erase_block(txn, tables, queue, last->number);
  // Like the last one, so that they take as little room as can be.
  last->entries.resize(block_entries, last->entries.back());
  return write_own_block(txn, tables, queue, *last);
}

result<settled_amount> settle(storage::write_transaction& txn, const storage::main_tables& tables,
                              std::uint32_t queue, std::span<const std::uint64_t> positions) {
  settled_amount settled;
  block_changes changes{txn, tables, queue, block_change::settled};
  auto changed = changes.run(positions, [&settled](block& b, std::size_t place) {
    if (!b.settled.test(place)) settled.bytes += b.entries.at(place).bytes;
    b.settled.set(place);
  });
  if (!changed) return changed.error();
  settled.done_with = std::move(changes.done_with());
  settled.left = std::move(changes.left());
  return settled;
}

result<void> settle_block(storage::write_transaction& txn, const storage::main_tables& tables,
                          std::uint32_t queue, std::uint64_t number) {
  return block_changes{txn, tables, queue, block_change::settled}.settle_whole(number);
}

result<void> mark_delivered(storage::write_transaction& txn, const storage::main_tables& tables,
                            std::uint32_t queue, std::span<const std::uint64_t> positions) {
  return block_changes{txn, tables, queue, block_change::marked}.run(
      positions, [](block& b, std::size_t place) { b.delivered.set(place); });
}

result<void> count_deliveries(storage::write_transaction& txn, const storage::main_tables& tables,
                              std::uint32_t queue, std::span<const std::uint64_t> positions) {
  return block_changes{txn, tables, queue, block_change::altered}.run(
      positions, [](block& b, std::size_t place) {
        auto& count = b.entries.at(place).deliveries;
        if (count < std::numeric_limits<std::uint16_t>::max()) ++count;
      });
}

result<void> postpone(storage::write_transaction& txn, const storage::main_tables& tables,
                      std::uint32_t queue, std::uint64_t position, std::uint32_t not_before) {
  return block_changes{txn, tables, queue, block_change::altered}.run(
      std::span{&position, 1},
      [not_before](block& b, std::size_t place) { b.entries.at(place).not_before = not_before; });
}

result<std::uint64_t> count_entries(const storage::transaction& txn, const storage::main_tables& tables,
                                    std::uint32_t queue, std::uint64_t number) {
  auto own = count_own_entries(txn, tables, queue, number);
  if (!own) return own.error();
  if (*own == block_entries) return block_entries;
  auto shares = read_shares(txn, tables, queue);
  if (!shares && shares.error() != errc::damaged) return shares.error();
  const shared_span* const span = shares ? std::as_const(*shares).find(number) : nullptr;
  if (span == nullptr) return own->value_or(0);
  auto shared = count_own_entries(txn, tables, span->index, number + span->shift);
  if (!shared) return shared.error();
  return std::max(own->value_or(0), shared->value_or(0));
}

result<void> erase_block(storage::write_transaction& txn, const storage::main_tables& tables,
                         std::uint32_t queue, std::uint64_t number) {
  if (auto erased = txn.erase(tables.queues, block_key{queue, number}.view()); !erased) return erased.error();
  return {};
}

result<bool> erase_some(storage::write_transaction& txn, const storage::main_tables& tables,
                        std::uint32_t queue, std::size_t most) {
  auto c = storage::cursor::open(txn, tables.queues);
  if (!c) return c.error();
  for (std::size_t i = 0;; ++i) {
    auto at = c->move(MDB_SET_RANGE, block_key{queue, 0}.view());
    if (!at) return at.error();
    block_key found;
    if (!*at || (*at)->key.size() != sizeof found) return true;
    std::memcpy(&found, (*at)->key.data(), sizeof found);
    if (storage::big_endian(found.queue_big_endian) != queue) return true;
    if (i == most) return false;
    if (auto erased = c->erase(); !erased) return erased.error();
  }
}

result<std::vector<std::uint32_t>> stored_queues(const storage::transaction& txn,
                                                 const storage::main_tables& tables) {
  auto c = storage::cursor::open(txn, tables.queues);
  if (!c) return c.error();
  std::vector<std::uint32_t> ids;
  std::uint32_t id = 0;
  for (;;) {
    auto at = c->move(MDB_SET_RANGE, block_key{id, 0}.view());
    if (!at) return at.error();
    block_key found;
    if (!*at || (*at)->key.size() != sizeof found) return ids;
    std::memcpy(&found, (*at)->key.data(), sizeof found);
    id = static_cast<std::uint32_t>(storage::big_endian(found.queue_big_endian));
    ids.push_back(id);
    if (id == std::numeric_limits<std::uint32_t>::max()) return ids;
    ++id;
  }
}

}  // namespace levada::queue
