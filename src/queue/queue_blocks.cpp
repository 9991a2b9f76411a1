#include "queue/queue_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

#include "storage/row.hpp"

namespace levada::queue {
namespace {

struct block_key {
  std::uint64_t queue_big_endian;
  std::uint64_t number_big_endian;

  block_key() = default;
  block_key(std::uint32_t queue, std::uint64_t number) noexcept
      : queue_big_endian{storage::big_endian(queue)}, number_big_endian{storage::big_endian(number)} {}
  [[nodiscard]] storage::bytes view() const noexcept { return std::as_bytes(std::span{this, 1}); }
};
static_assert(sizeof(block_key) == 16);

/// The state stands behind all blocks of its queue.
constexpr std::uint64_t state_number = std::numeric_limits<std::uint64_t>::max();

struct stored_row {
  std::uint64_t checksum;
  std::uint64_t tail;
  std::uint64_t settled;
  std::uint64_t exposed;
  std::uint64_t bytes;
};
static_assert(sizeof(stored_row) + (lanes_max - 1) * sizeof(lane_row) <= storage::row_bytes_max);

struct block_header {
  std::uint64_t checksum;
  std::uint64_t settled;
  std::uint64_t delivered;
};
static_assert(sizeof(block_header) + block_entries * sizeof(reference) <= storage::row_bytes_max);

std::uint64_t checksum_of(const block_key& key, storage::bytes value) noexcept {
  const auto rest = value.subspan(sizeof(std::uint64_t));
  return storage::records_hash(rest) ^ storage::records_hash(key.view());
}

error damaged(std::uint32_t queue, const char* what) {
  return {errc::damaged, fmt::format("read queue {}: {}", queue, what)};
}

result<block> decode(std::uint32_t queue, const block_key& key, storage::bytes value) {
  block_header header{};
  if (value.size() < sizeof header || (value.size() - sizeof header) % sizeof(reference) != 0 ||
      (value.size() - sizeof header) / sizeof(reference) > block_entries) {
    return damaged(queue, "a block has an impossible size");
  }
  std::memcpy(&header, value.data(), sizeof header);
  if (header.checksum != checksum_of(key, value)) return damaged(queue, "a block has a wrong checksum");
  block b{storage::big_endian(key.number_big_endian), header.settled, header.delivered, {}};
  b.entries.resize((value.size() - sizeof header) / sizeof(reference));
  if (!b.entries.empty()) {
    std::memcpy(b.entries.data(), value.data() + sizeof header, b.entries.size() * sizeof(reference));
  }
  return b;
}

result<void> write_block(storage::write_transaction& txn, const storage::main_tables& tables,
                         std::uint32_t queue, const block& b) {
  std::array<std::byte, storage::row_bytes_max> buffer;
  block_header header{0, b.settled.to_ullong(), b.delivered.to_ullong()};
  std::memcpy(buffer.data(), &header, sizeof header);
  const std::size_t size = sizeof header + b.entries.size() * sizeof(reference);
  std::memcpy(buffer.data() + sizeof header, b.entries.data(), size - sizeof header);
  const block_key key{queue, b.number};
  header.checksum = checksum_of(key, {buffer.data(), size});
  std::memcpy(buffer.data(), &header, sizeof header.checksum);
  return txn.put(tables.queues, key.view(), {buffer.data(), size});
}

/// Reads each block that holds one of the sorted positions, lets `change` alter it, and writes it back.
/// Positions of blocks that are gone are passed over.
result<void> change_blocks(storage::write_transaction& txn, const storage::main_tables& tables,
                           std::uint32_t queue, std::span<const std::uint64_t> positions,
                           const std::function<void(block&, std::size_t)>& change, bool erase_settled) {
  for (std::size_t i = 0; i < positions.size();) {
    const std::uint64_t number = positions[i] / block_entries;
    auto b = read_block(txn, tables, queue, number);
    if (!b) return b.error();
    for (; i < positions.size() && positions[i] / block_entries == number; ++i) {
      if (*b) change(**b, positions[i] % block_entries);
    }
    if (!*b) continue;
    if (erase_settled && (*b)->entries.size() == block_entries && (*b)->settled.count() == block_entries) {
      if (auto erased = txn.erase(tables.queues, block_key{queue, number}.view()); !erased)
        return erased.error();
    } else if (auto written = write_block(txn, tables, queue, **b); !written) {
      return written;
    }
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
  if (size < sizeof stored || (size - sizeof stored) % sizeof(lane_row) != 0 ||
      (size - sizeof stored) / sizeof(lane_row) >= lanes_max) {
    return damaged(queue, "its state has an impossible size");
  }
  std::memcpy(&stored, (*value)->data(), sizeof stored);
  if (stored.checksum != checksum_of(key, **value)) return damaged(queue, "its state has a wrong checksum");
  queue_row row{stored.tail, stored.settled, stored.exposed, stored.bytes};
  row.further.resize((size - sizeof stored) / sizeof(lane_row));
  if (!row.further.empty())
    std::memcpy(row.further.data(), (*value)->data() + sizeof stored, size - sizeof stored);
  return std::optional{std::move(row)};
}

result<void> write_row(storage::write_transaction& txn, const storage::main_tables& tables,
                       std::uint32_t queue, const queue_row& row) {
  const block_key key{queue, state_number};
  std::array<std::byte, sizeof(stored_row) + (lanes_max - 1) * sizeof(lane_row)> buffer;
  stored_row stored{0, row.tail, row.settled, row.exposed, row.bytes};
  const std::size_t further = std::min(row.further.size(), lanes_max - 1) * sizeof(lane_row);
  std::memcpy(buffer.data(), &stored, sizeof stored);
  if (further > 0) std::memcpy(buffer.data() + sizeof stored, row.further.data(), further);
  const storage::bytes value{buffer.data(), sizeof stored + further};
  stored.checksum = checksum_of(key, value);
  std::memcpy(buffer.data(), &stored.checksum, sizeof stored.checksum);
  return txn.put(tables.queues, key.view(), value);
}

result<std::optional<block>> read_block(const storage::transaction& txn, const storage::main_tables& tables,
                                        std::uint32_t queue, std::uint64_t number) {
  const block_key key{queue, number};
  auto value = txn.get(tables.queues, key.view());
  if (!value) return value.error();
  if (!*value) return std::optional<block>{};
  auto b = decode(queue, key, **value);
  if (!b) return b.error();
  return std::optional<block>{std::move(*b)};
}

result<std::optional<std::uint64_t>> first_block(const storage::transaction& txn,
                                                 const storage::main_tables& tables, std::uint32_t queue,
                                                 std::uint64_t from) {
  auto c = storage::cursor::open(txn, tables.queues);
  if (!c) return c.error();
  auto at = c->move(MDB_SET_RANGE, block_key{queue, from}.view());
  if (!at) return at.error();
  if (!*at) return std::optional<std::uint64_t>{};
  block_key found;
  if ((*at)->key.size() != sizeof found) return damaged(queue, "a key has an impossible size");
  std::memcpy(&found, (*at)->key.data(), sizeof found);
  if (storage::big_endian(found.queue_big_endian) != queue) return std::optional<std::uint64_t>{};
  const std::uint64_t number = storage::big_endian(found.number_big_endian);
  if (number == state_number) return std::optional<std::uint64_t>{};
  return std::optional<std::uint64_t>{number};
}

namespace {

/// The block in which position `at` of a lane stands, with the entries before that.
result<block> block_up_to(const storage::transaction& txn, const storage::main_tables& tables,
                          std::uint32_t queue, std::size_t lane, std::uint64_t at) {
  const std::uint64_t number = (lane_begin(lane) + at) / block_entries;
  if (at % block_entries == 0) return block{number, {}, {}, {}};
  auto stored = read_block(txn, tables, queue, number);
  if (!stored) return stored.error();
  if (!*stored || (*stored)->entries.size() != at % block_entries)
    return damaged(queue, "its last block is not where it ends");
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
    if (auto written = write_block(txn, tables, queue, b); !written) return written;
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
  last->entries.resize(block_entries);
  return write_block(txn, tables, queue, *last);
}

result<std::uint64_t> settle(storage::write_transaction& txn, const storage::main_tables& tables,
                             std::uint32_t queue, std::span<const std::uint64_t> positions) {
  std::uint64_t bytes = 0;
  auto changed = change_blocks(
      txn, tables, queue, positions,
      [&bytes](block& b, std::size_t place) {
        if (!b.settled.test(place)) bytes += b.entries.at(place).bytes;
        b.settled.set(place);
      },
      true);
  if (!changed) return changed.error();
  return bytes;
}

result<void> mark_delivered(storage::write_transaction& txn, const storage::main_tables& tables,
                            std::uint32_t queue, std::span<const std::uint64_t> positions) {
  return change_blocks(
      txn, tables, queue, positions, [](block& b, std::size_t place) { b.delivered.set(place); }, false);
}

result<void> count_deliveries(storage::write_transaction& txn, const storage::main_tables& tables,
                              std::uint32_t queue, std::span<const std::uint64_t> positions) {
  return change_blocks(
      txn, tables, queue, positions,
      [](block& b, std::size_t place) {
        auto& count = b.entries.at(place).deliveries;
        if (count < std::numeric_limits<std::uint16_t>::max()) ++count;
      },
      false);
}

result<void> postpone(storage::write_transaction& txn, const storage::main_tables& tables,
                      std::uint32_t queue, std::uint64_t position, std::uint32_t not_before) {
  return change_blocks(
      txn, tables, queue, std::span{&position, 1},
      [not_before](block& b, std::size_t place) { b.entries.at(place).not_before = not_before; }, false);
}

result<std::uint64_t> count_entries(const storage::transaction& txn, const storage::main_tables& tables,
                                    std::uint32_t queue, std::uint64_t number) {
  auto value = txn.get(tables.queues, block_key{queue, number}.view());
  if (!value) return value.error();
  if (!*value || (*value)->size() < sizeof(block_header)) return std::uint64_t{0};
  return std::min<std::uint64_t>(((*value)->size() - sizeof(block_header)) / sizeof(reference),
                                 block_entries);
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
