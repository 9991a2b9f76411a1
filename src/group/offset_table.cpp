#include "group/offset_table.hpp"

#include <fmt/format.h>

#include <cstring>

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

struct stored_offset {
  std::uint64_t checksum;
  std::uint64_t next;
  std::int64_t time;
};

std::uint64_t checksum_of(const offset_key& key, const stored_offset& value) noexcept {
  const auto rest = std::as_bytes(std::span{&value, 1}).subspan(sizeof value.checksum);
  return storage::records_hash(rest) ^ storage::records_hash(key.view());
}

result<committed_offset> decode(const offset_key& key, storage::bytes value) {
  const std::uint64_t place = storage::big_endian(key.place_big_endian);
  committed_offset entry{static_cast<std::uint32_t>(storage::big_endian(key.group_big_endian)),
                         static_cast<std::uint32_t>(place >> 32), static_cast<std::uint32_t>(place), 0, 0};
  stored_offset stored{};
  if (value.size() == sizeof stored) std::memcpy(&stored, value.data(), sizeof stored);
  if (value.size() != sizeof stored || stored.checksum != checksum_of(key, stored)) {
    return error{errc::damaged,
                 fmt::format("read committed offset of group {}, log {}, partition {}: wrong checksum",
                             entry.group, entry.log, entry.partition)};
  }
  entry.next = stored.next;
  entry.time = stored.time;
  return entry;
}

}  // namespace

result<void> write_offset(storage::write_transaction& txn, const storage::main_tables& tables,
                          const committed_offset& entry) {
  const offset_key key{entry.group, entry.log, entry.partition};
  stored_offset stored{0, entry.next, entry.time};
  stored.checksum = checksum_of(key, stored);
  return txn.put(tables.offsets, key.view(), std::as_bytes(std::span{&stored, 1}));
}

result<std::optional<committed_offset>> read_offset(const storage::transaction& txn,
                                                    const storage::main_tables& tables, std::uint32_t group,
                                                    std::uint32_t log, std::uint32_t partition) {
  const offset_key key{group, log, partition};
  auto value = txn.get(tables.offsets, key.view());
  if (!value) return value.error();
  if (!*value) return std::optional<committed_offset>{};
  auto entry = decode(key, **value);
  if (!entry) return entry.error();
  return std::optional<committed_offset>{*entry};
}

result<std::vector<committed_offset>> read_offsets(const storage::transaction& txn,
                                                   const storage::main_tables& tables) {
  auto c = storage::cursor::open(txn, tables.offsets);
  if (!c) return c.error();
  std::vector<committed_offset> all;
  for (auto at = c->move(MDB_FIRST);; at = c->move(MDB_NEXT)) {
    if (!at) return at.error();
    if (!*at) return all;
    offset_key key;
    if ((*at)->key.size() != sizeof key)
      return error{errc::damaged, "read committed offsets: a key of the wrong size"};
    std::memcpy(&key, (*at)->key.data(), sizeof key);
    auto entry = decode(key, (*at)->value);
    if (!entry) return entry.error();
    all.push_back(*entry);
  }
}

result<void> erase_offsets_of(storage::write_transaction& txn, const storage::main_tables& tables,
                              std::uint32_t log) {
  auto all = read_offsets(txn, tables);
  if (!all) return all.error();
  for (const auto& o : *all) {
    if (o.log != log) continue;
    auto erased = txn.erase(tables.offsets, offset_key{o.group, o.log, o.partition}.view());
    if (!erased) return erased.error();
  }
  return {};
}

}  // namespace levada::group
