#include "queue/queue_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>

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
};

struct block_header {
  std::uint64_t checksum;
  std::array<std::uint64_t, 2> settled;
  std::array<std::uint64_t, 2> delivered;
};
static_assert(sizeof(block_header) + block_entries * sizeof(reference) <= storage::row_bytes_max);

std::uint64_t checksum_of(const block_key& key, storage::bytes value) noexcept {
  const auto rest = value.subspan(sizeof(std::uint64_t));
  return storage::records_hash(rest) ^ storage::records_hash(key.view());
}

std::array<std::uint64_t, 2> to_words(const std::bitset<128>& bits) noexcept {
  constexpr std::bitset<128> low{std::numeric_limits<std::uint64_t>::max()};
  return {(bits & low).to_ullong(), (bits >> 64).to_ullong()};
}
std::bitset<128> to_bits(const std::array<std::uint64_t, 2>& words) noexcept {
  return std::bitset<128>{words[0]} | (std::bitset<128>{words[1]} << 64);
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
  block b{storage::big_endian(key.number_big_endian), to_bits(header.settled), to_bits(header.delivered), {}};
  b.entries.resize((value.size() - sizeof header) / sizeof(reference));
  if (!b.entries.empty()) {
    std::memcpy(b.entries.data(), value.data() + sizeof header, b.entries.size() * sizeof(reference));
  }
  return b;
}

result<void> write_block(storage::write_transaction& txn, const storage::main_tables& tables,
                         std::uint32_t queue, const block& b) {
  std::array<std::byte, storage::row_bytes_max> buffer;
  block_header header{0, to_words(b.settled), to_words(b.delivered)};
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
  if ((*value)->size() != sizeof stored) return damaged(queue, "its state has an impossible size");
  std::memcpy(&stored, (*value)->data(), sizeof stored);
  if (stored.checksum != checksum_of(key, **value)) return damaged(queue, "its state has a wrong checksum");
  return std::optional<queue_row>{{stored.tail, stored.settled, stored.exposed}};
}

result<void> write_row(storage::write_transaction& txn, const storage::main_tables& tables,
                       std::uint32_t queue, const queue_row& row) {
  const block_key key{queue, state_number};
  stored_row stored{0, row.tail, row.settled, row.exposed};
  stored.checksum = checksum_of(key, std::as_bytes(std::span{&stored, 1}));
  return txn.put(tables.queues, key.view(), std::as_bytes(std::span{&stored, 1}));
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

result<void> append(storage::write_transaction& txn, const storage::main_tables& tables, std::uint32_t queue,
                    queue_row& row, std::span<const reference> entries) {
  while (!entries.empty()) {
    const std::uint64_t number = row.tail / block_entries;
    const std::size_t place = row.tail % block_entries;
    block b{number, {}, {}, {}};
    if (place > 0) {
      auto stored = read_block(txn, tables, queue, number);
      if (!stored) return stored.error();
      if (!*stored || (*stored)->entries.size() != place)
        return damaged(queue, "its last block is not where it ends");
      b = std::move(**stored);
    }
    const std::size_t n = std::min<std::size_t>(entries.size(), block_entries - place);
    b.entries.insert(b.entries.end(), entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(n));
    if (auto written = write_block(txn, tables, queue, b); !written) return written;
    entries = entries.subspan(n);
    row.tail += n;
  }
  return {};
}

result<void> settle(storage::write_transaction& txn, const storage::main_tables& tables, std::uint32_t queue,
                    std::span<const std::uint64_t> positions) {
  return change_blocks(
      txn, tables, queue, positions, [](block& b, std::size_t place) { b.settled.set(place); }, true);
}

result<void> mark_delivered(storage::write_transaction& txn, const storage::main_tables& tables,
                            std::uint32_t queue, std::span<const std::uint64_t> positions) {
  return change_blocks(
      txn, tables, queue, positions, [](block& b, std::size_t place) { b.delivered.set(place); }, false);
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
