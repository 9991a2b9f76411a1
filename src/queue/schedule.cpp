#include "queue/schedule.hpp"

#include <cstring>
#include <optional>
#include <span>

#include "storage/row.hpp"

namespace levada::queue {
namespace {

struct schedule_key {
  std::uint64_t due_big_endian;
  std::uint64_t place_big_endian;  // log and partition
  std::uint64_t offset_big_endian;

  schedule_key() = default;
  explicit schedule_key(const scheduled_message& m) noexcept
      : due_big_endian{storage::big_endian(static_cast<std::uint64_t>(m.due))},
        place_big_endian{storage::big_endian(std::uint64_t{m.log} << 32 | m.partition)},
        offset_big_endian{storage::big_endian(m.offset)} {}
  [[nodiscard]] storage::bytes view() const noexcept { return std::as_bytes(std::span{this, 1}); }
  [[nodiscard]] scheduled_message message() const noexcept {
    const std::uint64_t place = storage::big_endian(place_big_endian);
    return {static_cast<std::int64_t>(storage::big_endian(due_big_endian)),
            static_cast<std::uint32_t>(place >> 32), static_cast<std::uint32_t>(place),
            storage::big_endian(offset_big_endian)};
  }
};
static_assert(sizeof(schedule_key) == 24);

/// A row as it stands in the table; nothing where it cannot be believed.
std::optional<scheduled_message> parse(storage::bytes key, storage::bytes value) {
  std::uint64_t checksum = 0;
  schedule_key found;
  if (key.size() != sizeof found || value.size() != sizeof checksum) return std::nullopt;
  std::memcpy(&found, key.data(), sizeof found);
  std::memcpy(&checksum, value.data(), sizeof checksum);
  const scheduled_message message = found.message();
  if (checksum != storage::records_hash(key) || message.due < 0) return std::nullopt;
  return message;
}

}  // namespace

result<void> put(storage::write_transaction& txn, const storage::main_tables& tables,
                 const scheduled_message& message) {
  const schedule_key key{message};
  const std::uint64_t checksum = storage::records_hash(key.view());
  return txn.put(tables.schedule, key.view(), std::as_bytes(std::span{&checksum, 1}));
}

result<bool> erase(storage::write_transaction& txn, const storage::main_tables& tables,
                   const scheduled_message& message) {
  return txn.erase(tables.schedule, schedule_key{message}.view());
}

result<std::vector<scheduled_message>> read_schedule(const storage::transaction& txn,
                                                     const storage::main_tables& tables,
                                                     const scheduled_message& from, std::size_t most) {
  std::vector<scheduled_message> found;
  auto c = storage::cursor::open(txn, tables.schedule);
  if (!c) return c.error();
  const schedule_key first{from};
  auto at = c->move(MDB_SET_RANGE, first.view());
  for (; found.size() < most; at = c->move(MDB_NEXT)) {
    if (!at) return at.error();
    if (!*at) break;
    const auto message = parse((*at)->key, (*at)->value);
    if (!message) return error{errc::damaged, "read schedule: a row has a wrong size or checksum"};
    found.push_back(*message);
  }
  return found;
}

result<damaged_schedule> examine_schedule(const storage::transaction& txn, const storage::main_tables& tables,
                                          const std::function<bool(const scheduled_message&)>& is_lost) {
  damaged_schedule found;
  auto c = storage::cursor::open(txn, tables.schedule);
  if (!c) return c.error();
  for (auto at = c->move(MDB_FIRST);; at = c->move(MDB_NEXT)) {
    if (!at) return at.error();
    if (!*at) return found;
    const auto message = parse((*at)->key, (*at)->value);
    if (!message) {
      found.keys.emplace_back((*at)->key.begin(), (*at)->key.end());
    } else if (is_lost(*message)) {
      found.lost.push_back(*message);
    }
  }
}

result<void> repair_schedule(storage::write_transaction& txn, const storage::main_tables& tables,
                             const damaged_schedule& found) {
  for (const auto& key : found.keys) {
    if (auto erased = txn.erase(tables.schedule, key); !erased) return erased.error();
  }
  for (const scheduled_message& m : found.lost) {
    if (auto erased = erase(txn, tables, m); !erased) return erased.error();
  }
  return {};
}

}  // namespace levada::queue
