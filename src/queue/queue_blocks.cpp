#include "queue/queue_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
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

/// Where all entries of a block stand, if in one partition and not too far from each other.
struct block_place {
  std::uint64_t offset;  // the smallest
  std::uint32_t log;
  std::uint32_t partition;
};

/// What is stored of the entries of a block, column by column; what they do not have is left out.
struct block_layout {
  bool scattered = false;  // each has a log, a partition and an offset; else a distance from the block's
  bool expires = false;
  bool deliveries = false;
  bool not_before = false;

  [[nodiscard]] std::size_t head_size() const noexcept {
    return sizeof(block_header) + (scattered ? 0 : sizeof(block_place));
  }
  [[nodiscard]] std::size_t entry_size() const noexcept {
    const std::size_t place = scattered ? 4 + 2 + 8 : 4;
    return place + 4 + (expires ? 8U : 0U) + (deliveries ? 2U : 0U) + (not_before ? 4U : 0U);
  }
  /// How many entries a value of that size has; nothing where that cannot be.
  [[nodiscard]] std::optional<std::size_t> count_in(std::size_t size) const noexcept {
    if (size < head_size() || (size - head_size()) % entry_size() != 0) return std::nullopt;
    const std::size_t count = (size - head_size()) / entry_size();
    return count <= block_entries ? std::optional{count} : std::nullopt;
  }
};
static_assert(sizeof(block_header) + block_entries * sizeof(reference) <= storage::row_bytes_max);

// The layout stands in the bits of the header that are no entry's.
constexpr std::uint64_t entry_bits = (std::uint64_t{1} << block_entries) - 1;
constexpr std::uint64_t first_bit = std::uint64_t{1} << block_entries;
constexpr std::uint64_t second_bit = first_bit << 1;

block_layout layout_of(const block_header& header) noexcept {
  return {(header.settled & first_bit) != 0, (header.settled & second_bit) != 0,
          (header.delivered & first_bit) != 0, (header.delivered & second_bit) != 0};
}

/// What a block's entries need, and where they stand together.
std::pair<block_layout, block_place> layout_for(std::span<const reference> entries) noexcept {
  block_layout layout;
  block_place place{};
  if (entries.empty()) return {layout, place};
  place = {entries.front().offset, entries.front().log, entries.front().partition};
  std::uint64_t last = place.offset;
  for (const reference& e : entries) {
    layout.scattered = layout.scattered || e.log != place.log || e.partition != place.partition;
    layout.expires = layout.expires || e.expires != 0;
    layout.deliveries = layout.deliveries || e.deliveries != 0;
    layout.not_before = layout.not_before || e.not_before != 0;
    place.offset = std::min(place.offset, e.offset);
    last = std::max(last, e.offset);
  }
  if (last - place.offset > std::numeric_limits<std::uint32_t>::max()) layout.scattered = true;
  return {layout, place};
}

/// Writes numbers one behind the other.
class column_writer {
 public:
  explicit column_writer(std::byte* at) noexcept : at_{at} {}
  template <class T>
  void put(T value) noexcept {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }

 private:
  std::byte* at_;
};
class column_reader {
 public:
  explicit column_reader(const std::byte* at) noexcept : at_{at} {}
  template <class T>
  void get(T& value) noexcept {
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
  }

 private:
  const std::byte* at_;
};

std::uint64_t checksum_of(const block_key& key, storage::bytes value) noexcept {
  const auto rest = value.subspan(sizeof(std::uint64_t));
  return storage::records_hash(rest) ^ storage::records_hash(key.view());
}

error damaged(std::uint32_t queue, const char* what) {
  return {errc::damaged, fmt::format("read queue {}: {}", queue, what)};
}

result<block> decode(std::uint32_t queue, const block_key& key, storage::bytes value) {
  block_header header{};
  if (value.size() < sizeof header) return damaged(queue, "a block has an impossible size");
  std::memcpy(&header, value.data(), sizeof header);
  const block_layout layout = layout_of(header);
  const auto count = layout.count_in(value.size());
  if (!count) return damaged(queue, "a block has an impossible size");
  if (header.checksum != checksum_of(key, value)) return damaged(queue, "a block has a wrong checksum");
  block b{storage::big_endian(key.number_big_endian),
          header.settled & entry_bits,
          header.delivered & entry_bits,
          {}};
  b.entries.resize(*count);
  column_reader from{value.data() + sizeof header};
  if (layout.scattered) {
    for (reference& e : b.entries) from.get(e.offset);
    for (reference& e : b.entries) from.get(e.log);
    for (reference& e : b.entries) from.get(e.partition);
  } else {
    block_place place{};
    from.get(place);
    for (reference& e : b.entries) {
      std::uint32_t distance = 0;
      from.get(distance);
      e.offset = place.offset + distance;
      e.log = place.log;
      e.partition = static_cast<std::uint16_t>(place.partition);
    }
  }
  for (reference& e : b.entries) from.get(e.bytes);
  if (layout.expires) {
    for (reference& e : b.entries) from.get(e.expires);
  }
  if (layout.not_before) {
    for (reference& e : b.entries) from.get(e.not_before);
  }
  if (layout.deliveries) {
    for (reference& e : b.entries) from.get(e.deliveries);
  }
  return b;
}

result<void> write_block(storage::write_transaction& txn, const storage::main_tables& tables,
                         std::uint32_t queue, const block& b) {
  std::array<std::byte, storage::row_bytes_max> buffer;
  const auto [layout, place] = layout_for(b.entries);
  block_header header{0, b.settled.to_ullong(), b.delivered.to_ullong()};
  header.settled |= (layout.scattered ? first_bit : 0) | (layout.expires ? second_bit : 0);
  header.delivered |= (layout.deliveries ? first_bit : 0) | (layout.not_before ? second_bit : 0);
  column_writer to{buffer.data()};
  to.put(header);
  if (layout.scattered) {
    for (const reference& e : b.entries) to.put(e.offset);
    for (const reference& e : b.entries) to.put(e.log);
    for (const reference& e : b.entries) to.put(e.partition);
  } else {
    to.put(place);
    for (const reference& e : b.entries) to.put(static_cast<std::uint32_t>(e.offset - place.offset));
  }
  for (const reference& e : b.entries) to.put(e.bytes);
  if (layout.expires) {
    for (const reference& e : b.entries) to.put(e.expires);
  }
  if (layout.not_before) {
    for (const reference& e : b.entries) to.put(e.not_before);
  }
  if (layout.deliveries) {
    for (const reference& e : b.entries) to.put(e.deliveries);
  }
  const std::size_t size = layout.head_size() + b.entries.size() * layout.entry_size();
  const block_key key{queue, b.number};
  header.checksum = checksum_of(key, {buffer.data(), size});
  std::memcpy(buffer.data(), &header.checksum, sizeof header.checksum);
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
  // Like the last one, so that they take as little room as can be.
  last->entries.resize(block_entries, last->entries.back());
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
  block_header header{};
  if (!*value || (*value)->size() < sizeof header) return std::uint64_t{0};
  std::memcpy(&header, (*value)->data(), sizeof header);
  const block_layout layout = layout_of(header);
  const std::size_t size = std::max((*value)->size(), layout.head_size()) - layout.head_size();
  return std::min<std::uint64_t>(size / layout.entry_size(), block_entries);
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
