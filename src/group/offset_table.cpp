#include "group/offset_table.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "storage/row.hpp"

namespace levada::group {
namespace {

struct offset_key {
  std::uint64_t group_big_endian = 0;
  std::uint64_t place_big_endian = 0;  // log in the upper half, partition in the lower

  offset_key() = default;
  offset_key(std::uint32_t group, std::uint32_t log, std::uint32_t partition) noexcept
      : group_big_endian{storage::big_endian(group)},
        place_big_endian{storage::big_endian((std::uint64_t{log} << 32) | partition)} {}
  [[nodiscard]] storage::bytes view() const noexcept { return std::as_bytes(std::span{this, 1}); }
};
static_assert(sizeof(offset_key) == 16);

/// What every value begins with. Where there is metadata, its size follows in 8 bytes, then the metadata,
/// then zero bytes up to a multiple of 8.
struct stored_offset {
  std::uint64_t checksum;
  std::uint64_t next;
  std::int64_t time;
};

std::uint64_t checksum_of(const offset_key& key, storage::bytes value) noexcept {
  return storage::records_hash(value.subspan(sizeof(std::uint64_t))) ^ storage::records_hash(key.view());
}

constexpr std::size_t metadata_at = sizeof(stored_offset) + sizeof(std::uint64_t);

std::vector<std::byte> encode(const offset_key& key, const offset_row& row) {
  const std::uint64_t size = row.metadata.size();
  std::vector<std::byte> value(size == 0 ? sizeof(stored_offset) : metadata_at + (size + 7) / 8 * 8);
  stored_offset fixed{0, row.next, row.time};
  std::memcpy(value.data(), &fixed, sizeof fixed);
  if (size > 0) {
    std::memcpy(value.data() + sizeof fixed, &size, sizeof size);
    std::memcpy(value.data() + metadata_at, row.metadata.data(), size);
  }
  fixed.checksum = checksum_of(key, value);
  std::memcpy(value.data(), &fixed.checksum, sizeof fixed.checksum);
  return value;
}

/// Whether the value is whole; then `row` has what it says.
bool decode(const offset_key& key, storage::bytes value, offset_row& row) {
  stored_offset fixed{};
  if (value.size() < sizeof fixed) return false;
  std::memcpy(&fixed, value.data(), sizeof fixed);
  if (fixed.checksum != checksum_of(key, value)) return false;
  row.next = fixed.next;
  row.time = fixed.time;
  if (value.size() == sizeof fixed) return true;
  std::uint64_t size = 0;
  if (value.size() < metadata_at) return false;
  std::memcpy(&size, value.data() + sizeof fixed, sizeof size);
  if (size > value.size() - metadata_at) return false;
  row.metadata.assign(reinterpret_cast<const char*>(value.data()) + metadata_at, size);
  return true;
}

result<offset_row> decode(const offset_key& key, storage::bytes value) {
  const std::uint64_t place = storage::big_endian(key.place_big_endian);
  offset_row row{static_cast<std::uint32_t>(storage::big_endian(key.group_big_endian)),
                 static_cast<std::uint32_t>(place >> 32), static_cast<std::uint32_t>(place)};
  if (decode(key, value, row)) return row;
  return error{errc::damaged,
               fmt::format("read committed offset of group {}, log {}, partition {}: wrong checksum",
                           row.group, row.log, row.partition)};
}

/// Erases the offsets that are meant.
template <class Predicate>
result<void> erase_offsets_if(storage::write_transaction& txn, const storage::main_tables& tables,
                              Predicate meant) {
  auto all = read_offsets(txn, tables);
  if (!all) return all.error();
  for (const auto& o : *all) {
    if (!meant(o)) continue;
    auto erased = txn.erase(tables.offsets, offset_key{o.group, o.log, o.partition}.view());
    if (!erased) return erased.error();
  }
  return {};
}

}  // namespace

result<void> write_offset(storage::write_transaction& txn, const storage::main_tables& tables,
                          const offset_row& entry) {
  const offset_key key{entry.group, entry.log, entry.partition};
  return txn.put(tables.offsets, key.view(), encode(key, entry));
}

result<std::optional<offset_row>> read_offset(const storage::transaction& txn,
                                              const storage::main_tables& tables, std::uint32_t group,
                                              std::uint32_t log, std::uint32_t partition) {
  const offset_key key{group, log, partition};
  auto value = txn.get(tables.offsets, key.view());
  if (!value) return value.error();
  if (!*value) return std::optional<offset_row>{};
  auto entry = decode(key, **value);
  if (!entry) return entry.error();
  return std::optional<offset_row>{std::move(*entry)};
}

result<std::vector<offset_row>> read_offsets(const storage::transaction& txn,
                                             const storage::main_tables& tables) {
  auto c = storage::cursor::open(txn, tables.offsets);
  if (!c) return c.error();
  std::vector<offset_row> all;
  for (auto at = c->move(MDB_FIRST);; at = c->move(MDB_NEXT)) {
    if (!at) return at.error();
    if (!*at) return all;
    offset_key key;
    if ((*at)->key.size() != sizeof key)
      return error{errc::damaged, "read committed offsets: a key of the wrong size"};
    std::memcpy(&key, (*at)->key.data(), sizeof key);
    auto entry = decode(key, (*at)->value);
    if (!entry) return entry.error();
    all.push_back(std::move(*entry));
  }
}

result<void> erase_offsets_of(storage::write_transaction& txn, const storage::main_tables& tables,
                              std::uint32_t log) {
  return erase_offsets_if(txn, tables, [log](const offset_row& o) { return o.log == log; });
}

result<void> erase_offsets_of_group(storage::write_transaction& txn, const storage::main_tables& tables,
                                    std::uint32_t group) {
  return erase_offsets_if(txn, tables, [group](const offset_row& o) { return o.group == group; });
}

}  // namespace levada::group
