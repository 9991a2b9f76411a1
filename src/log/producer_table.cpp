#include "log/producer_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "storage/row.hpp"

namespace levada::log {
namespace {

/// The log, then the id, padded with zero bytes, which no id holds.
class producer_key {
 public:
  /// A shorter `id` makes the place before those of the log.
  producer_key(std::uint32_t log, std::string_view id) noexcept
      : size_{sizeof(std::uint64_t) + (id.size() + 7) / 8 * 8} {
    const std::uint64_t first = storage::big_endian(log);
    std::memcpy(bytes_.data(), &first, sizeof first);
    std::copy(id.begin(), id.end(), reinterpret_cast<char*>(bytes_.data() + sizeof first));
  }
  [[nodiscard]] storage::bytes view() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<std::byte, sizeof(std::uint64_t) + 256> bytes_{};
  std::size_t size_;
};

std::uint64_t log_of(storage::bytes key) noexcept {
  std::uint64_t first = 0;
  std::memcpy(&first, key.data(), sizeof first);
  return storage::big_endian(first);
}

std::string id_of(storage::bytes key) {
  std::string id{reinterpret_cast<const char*>(key.data()) + sizeof(std::uint64_t),
                 key.size() - sizeof(std::uint64_t)};
  id.erase(id.find_last_not_of('\0') + 1);
  return id;
}

struct stored_state {
  std::uint64_t checksum;
  std::uint64_t last_sequence;
  std::uint64_t epoch;
  std::int64_t time;
};

std::uint64_t producer_checksum(storage::bytes key, const stored_state& value) noexcept {
  const auto rest = std::as_bytes(std::span{&value, 1}).subspan(sizeof value.checksum);
  return storage::records_hash(rest) ^ storage::records_hash(key);
}

result<producer_state> decode_producer(storage::bytes key, storage::bytes value) {
  stored_state stored{};
  if (value.size() == sizeof stored) std::memcpy(&stored, value.data(), sizeof stored);
  if (value.size() == sizeof stored && stored.checksum == producer_checksum(key, stored))
    return producer_state{stored.last_sequence, stored.epoch, stored.time};
  return error{errc::damaged,
               fmt::format("read producer '{}' of log {}: wrong checksum", id_of(key), log_of(key))};
}

}  // namespace

result<void> write_producer(storage::write_transaction& txn, const storage::main_tables& tables,
                            std::uint32_t log, std::string_view id, const producer_state& state) {
  const producer_key key{log, id};
  stored_state stored{0, state.last_sequence, state.epoch, state.time};
  stored.checksum = producer_checksum(key.view(), stored);
  return txn.put(tables.producers, key.view(), std::as_bytes(std::span{&stored, 1}));
}

result<std::optional<producer_state>> read_producer(const storage::transaction& txn,
                                                    const storage::main_tables& tables, std::uint32_t log,
                                                    std::string_view id) {
  const producer_key key{log, id};
  auto value = txn.get(tables.producers, key.view());
  if (!value) return value.error();
  if (!*value) return std::optional<producer_state>{};
  auto state = decode_producer(key.view(), **value);
  if (!state) return state.error();
  return std::optional{*state};
}

result<std::vector<stored_producer>> read_producers(const storage::transaction& txn,
                                                    const storage::main_tables& tables) {
  auto c = storage::cursor::open(txn, tables.producers);
  if (!c) return c.error();
  std::vector<stored_producer> all;
  for (auto at = c->move(MDB_FIRST);; at = c->move(MDB_NEXT)) {
    if (!at) return at.error();
    if (!*at) return all;
    const storage::bytes key = (*at)->key;
    if (key.size() <= sizeof(std::uint64_t) || key.size() % 8 != 0)
      return error{errc::damaged, "read producers: a key of the wrong size"};
    auto state = decode_producer(key, (*at)->value);
    if (!state) return state.error();
    all.push_back({static_cast<std::uint32_t>(log_of(key)), id_of(key), *state});
  }
}

result<void> erase_producers_of(storage::write_transaction& txn, const storage::main_tables& tables,
                                std::uint32_t log) {
  const producer_key first{log, {}};
  std::vector<std::vector<std::byte>> keys;
  {
    auto c = storage::cursor::open(txn, tables.producers);
    if (!c) return c.error();
    for (auto at = c->move(MDB_SET_RANGE, first.view());; at = c->move(MDB_NEXT)) {
      if (!at) return at.error();
      if (!*at) break;
      const storage::bytes key = (*at)->key;
      if (key.size() < sizeof(std::uint64_t) || log_of(key) != log) break;
      keys.emplace_back(key.begin(), key.end());
    }
  }
  for (const auto& key : keys) {
    if (auto erased = txn.erase(tables.producers, key); !erased) return erased.error();
  }
  return {};
}

}  // namespace levada::log
