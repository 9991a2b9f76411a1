#include "queue/block_codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace levada::queue {
namespace {

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

result<block> decode(std::uint32_t queue, const block_key& key, storage::bytes value) {
  block_header header{};
  if (value.size() < sizeof header) return damaged_queue_error(queue, "a block has an impossible size");
  std::memcpy(&header, value.data(), sizeof header);
  const block_layout layout = layout_of(header);
  const auto count = value.size() == sizeof header ? std::size_t{0} : layout.count_in(value.size());
  if (!count) return damaged_queue_error(queue, "a block has an impossible size");
  if (header.checksum != checksum_of(key, value))
    return damaged_queue_error(queue, "a block has a wrong checksum");
  block b{storage::big_endian(key.number_big_endian),
          header.settled & entry_bits,
          header.delivered & entry_bits,
          {}};
  if (*count == 0) return b;
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

}  // namespace

std::uint64_t checksum_of(const block_key& key, storage::bytes value) noexcept {
  const auto rest = value.subspan(sizeof(std::uint64_t));
  return storage::records_hash(rest) ^ storage::records_hash(key.view());
}

error damaged_queue_error(std::uint32_t queue, std::string_view what) {
  return {errc::damaged, fmt::format("read queue {}: {}", queue, what)};
}

result<std::optional<block>> read_own_block(const storage::transaction& txn,
                                            const storage::main_tables& tables, std::uint32_t queue,
                                            std::uint64_t number) {
  const block_key key{queue, number};
  auto value = txn.get(tables.queues, key.view());
  if (!value) return value.error();
  if (!*value) return std::optional<block>{};
  auto b = decode(queue, key, **value);
  if (!b) return b.error();
  return std::optional<block>{std::move(*b)};
}

result<void> write_own_block(storage::write_transaction& txn, const storage::main_tables& tables,
                             std::uint32_t queue, const block& b) {
  std::array<std::byte, storage::row_bytes_max> buffer;
  const auto [layout, place] = layout_for(b.entries);
  block_header header{0, b.settled.to_ullong(), b.delivered.to_ullong()};
  header.settled |= (layout.scattered ? first_bit : 0) | (layout.expires ? second_bit : 0);
  header.delivered |= (layout.deliveries ? first_bit : 0) | (layout.not_before ? second_bit : 0);
  column_writer to{buffer.data()};
  to.put(header);
  if (b.entries.empty()) {
    // The bits alone.
  } else if (layout.scattered) {
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
  const std::size_t size =
      b.entries.empty() ? sizeof header : layout.head_size() + b.entries.size() * layout.entry_size();
  const block_key key{queue, b.number};
  header.checksum = checksum_of(key, {buffer.data(), size});
  std::memcpy(buffer.data(), &header.checksum, sizeof header.checksum);
  return txn.put(tables.queues, key.view(), {buffer.data(), size});
}

result<std::optional<std::uint64_t>> count_own_entries(const storage::transaction& txn,
                                                       const storage::main_tables& tables,
                                                       std::uint32_t queue, std::uint64_t number) {
  auto value = txn.get(tables.queues, block_key{queue, number}.view());
  if (!value) return value.error();
  if (!*value) return std::optional<std::uint64_t>{};
  block_header header{};
  if ((*value)->size() < sizeof header) return std::optional<std::uint64_t>{0};
  std::memcpy(&header, (*value)->data(), sizeof header);
  const block_layout layout = layout_of(header);
  const std::size_t size = std::max((*value)->size(), layout.head_size()) - layout.head_size();
  return std::optional<std::uint64_t>{std::min<std::uint64_t>(size / layout.entry_size(), block_entries)};
}

result<std::optional<std::uint64_t>> first_own_block(const storage::transaction& txn,
                                                     const storage::main_tables& tables, std::uint32_t queue,
                                                     std::uint64_t from) {
  auto c = storage::cursor::open(txn, tables.queues);
  if (!c) return c.error();
  auto at = c->move(MDB_SET_RANGE, block_key{queue, from}.view());
  if (!at) return at.error();
  if (!*at) return std::optional<std::uint64_t>{};
  block_key found;
  if ((*at)->key.size() != sizeof found) return damaged_queue_error(queue, "a key has an impossible size");
  std::memcpy(&found, (*at)->key.data(), sizeof found);
  if (storage::big_endian(found.queue_big_endian) != queue) return std::optional<std::uint64_t>{};
  const std::uint64_t number = storage::big_endian(found.number_big_endian);
  if (number >= blocks_end) return std::optional<std::uint64_t>{};
  return std::optional<std::uint64_t>{number};
}

}  // namespace levada::queue
