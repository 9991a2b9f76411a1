#include "queue/tickets.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <span>

#include "queue/queue_blocks.hpp"
#include "queue/schedule.hpp"
#include "storage/row.hpp"

namespace levada::queue {
namespace {

/// As records' properties are limited to; no message has a longer one.
constexpr std::size_t message_id_bytes_max = 255;

// The table of tickets has two kinds of rows.
constexpr char by_id = 'i';    // and the message's id: the ticket
constexpr char by_time = 's';  // and when it was settled, and the message's id: nothing

storage::bytes bytes_of(std::string_view text) noexcept {
  return std::as_bytes(std::span{text});
}

std::string key_of_ticket(std::string_view message_id) {
  std::string key{by_id};
  key += message_id;
  return key;
}

std::string key_of_settled(std::int64_t time, std::string_view message_id) {
  const std::uint64_t ordered = storage::big_endian(static_cast<std::uint64_t>(time));
  std::string key(1 + sizeof ordered, by_time);
  std::memcpy(key.data() + 1, &ordered, sizeof ordered);
  key += message_id;
  return key;
}

struct settled_ticket {
  std::int64_t time;
  std::string message_id;
};
std::optional<settled_ticket> parse_settled(storage::bytes key) {
  std::uint64_t ordered = 0;
  if (key.size() < 1 + sizeof ordered || static_cast<char>(key[0]) != by_time) return std::nullopt;
  std::memcpy(&ordered, key.data() + 1, sizeof ordered);
  const auto id = key.subspan(1 + sizeof ordered);
  return settled_ticket{static_cast<std::int64_t>(storage::big_endian(ordered)),
                        {reinterpret_cast<const char*>(id.data()), id.size()}};
}

/// Binds what a row says to its key.
std::uint64_t checksum_of(storage::bytes key, storage::bytes said) noexcept {
  constexpr std::uint64_t mixed = 0x9e3779b97f4a7c15;
  return storage::records_hash(said) ^ storage::records_hash(key) * mixed;
}

std::string checked(storage::bytes key, storage::bytes said) {
  const std::uint64_t checksum = checksum_of(key, said);
  std::string value(sizeof checksum + said.size(), '\0');
  std::memcpy(value.data(), &checksum, sizeof checksum);
  std::memcpy(value.data() + sizeof checksum, said.data(), said.size());
  return value;
}
/// What a row says; nothing where it cannot be believed.
std::optional<storage::bytes> unchecked(storage::bytes key, storage::bytes value) noexcept {
  std::uint64_t checksum = 0;
  if (value.size() < sizeof checksum) return std::nullopt;
  std::memcpy(&checksum, value.data(), sizeof checksum);
  const auto said = value.subspan(sizeof checksum);
  if (checksum != checksum_of(key, said)) return std::nullopt;
  return said;
}

std::optional<ticket_row> parse_ticket(storage::bytes key, storage::bytes value) noexcept {
  const auto said = unchecked(key, value);
  ticket_row row;
  if (!said || said->size() != sizeof row) return std::nullopt;
  std::memcpy(&row, said->data(), sizeof row);
  return row;
}

struct open_key {
  std::uint64_t queue_and_log;  // big-endian, as the rest
  std::uint64_t partition;
  std::uint64_t offset;

  open_key() = default;
  open_key(std::uint32_t queue, const message_place& where) noexcept
      : queue_and_log{storage::big_endian(std::uint64_t{queue} << 32 | where.log)},
        partition{storage::big_endian(where.partition)},
        offset{storage::big_endian(where.offset)} {}
  [[nodiscard]] storage::bytes view() const noexcept { return std::as_bytes(std::span{this, 1}); }
  [[nodiscard]] std::uint32_t queue() const noexcept {
    return static_cast<std::uint32_t>(storage::big_endian(queue_and_log) >> 32);
  }
  [[nodiscard]] message_place where() const noexcept {
    return {static_cast<std::uint32_t>(storage::big_endian(queue_and_log)),
            static_cast<std::uint32_t>(storage::big_endian(partition)), storage::big_endian(offset)};
  }
};
static_assert(sizeof(open_key) == 24);

std::optional<open_key> parse_open(storage::bytes key) noexcept {
  open_key found;
  if (key.size() != sizeof found) return std::nullopt;
  std::memcpy(&found, key.data(), sizeof found);
  return found;
}

std::vector<std::byte> copy_of(storage::bytes key) {
  return {key.begin(), key.end()};
}

}  // namespace

result<std::optional<ticket_row>> read_ticket(const storage::transaction& txn,
                                              const storage::main_tables& tables,
                                              std::string_view message_id) {
  if (message_id.size() > message_id_bytes_max) return std::optional<ticket_row>{};
  const std::string key = key_of_ticket(message_id);
  auto value = txn.get(tables.tickets, bytes_of(key));
  if (!value) return value.error();
  if (!*value) return std::optional<ticket_row>{};
  const auto row = parse_ticket(bytes_of(key), **value);
  if (!row) return error{errc::damaged, "read ticket: a row has a wrong size or checksum"};
  return row;
}

result<void> put_ticket(storage::write_transaction& txn, const storage::main_tables& tables,
                        std::string_view message_id, const ticket_row& row) {
  const std::string key = key_of_ticket(message_id);
  const std::string value = checked(bytes_of(key), std::as_bytes(std::span{&row, 1}));
  if (auto stored = txn.put(tables.tickets, bytes_of(key), bytes_of(value)); !stored) return stored;
  if (row.settled == 0) return {};
  return txn.put(tables.tickets, bytes_of(key_of_settled(row.settled, message_id)), {});
}

result<bool> erase_ticket(storage::write_transaction& txn, const storage::main_tables& tables,
                          std::string_view message_id) {
  if (message_id.size() > message_id_bytes_max) return false;
  const std::string key = key_of_ticket(message_id);
  auto value = txn.get(tables.tickets, bytes_of(key));
  if (!value) return value.error();
  if (!*value) return false;
  if (const auto row = parse_ticket(bytes_of(key), **value); row && row->settled != 0) {
    auto erased = txn.erase(tables.tickets, bytes_of(key_of_settled(row->settled, message_id)));
    if (!erased) return erased;
  }
  return txn.erase(tables.tickets, bytes_of(key));
}

result<std::size_t> forget_settled(storage::write_transaction& txn, const storage::main_tables& tables,
                                   std::int64_t before, std::size_t most) {
  std::vector<settled_ticket> found;
  {
    auto c = storage::cursor::open(txn, tables.tickets);
    if (!c) return c.error();
    const char first = by_time;
    auto at = c->move(MDB_SET_RANGE, bytes_of({&first, 1}));
    for (; found.size() < most; at = c->move(MDB_NEXT)) {
      if (!at) return at.error();
      if (!*at) break;
      auto settled = parse_settled((*at)->key);
      if (!settled || settled->time >= before) break;
      found.push_back(std::move(*settled));
    }
  }
  for (const auto& [time, id] : found) {
    auto row = read_ticket(txn, tables, id);
    if (row && *row && (*row)->settled == time) {
      if (auto erased = txn.erase(tables.tickets, bytes_of(key_of_ticket(id))); !erased)
        return erased.error();
    }
    if (auto erased = txn.erase(tables.tickets, bytes_of(key_of_settled(time, id))); !erased)
      return erased.error();
  }
  return found.size();
}

result<std::optional<std::int64_t>> first_settled(const storage::transaction& txn,
                                                  const storage::main_tables& tables) {
  auto c = storage::cursor::open(txn, tables.tickets);
  if (!c) return c.error();
  const char first = by_time;
  auto at = c->move(MDB_SET_RANGE, bytes_of({&first, 1}));
  if (!at) return at.error();
  const auto settled = *at ? parse_settled((*at)->key) : std::nullopt;
  return settled ? std::optional{settled->time} : std::nullopt;
}

result<void> put_open(storage::write_transaction& txn, const storage::main_tables& tables,
                      std::uint32_t queue, const message_place& where, std::string_view message_id) {
  const open_key key{queue, where};
  return txn.put(tables.unsettled, key.view(), bytes_of(checked(key.view(), bytes_of(message_id))));
}

result<std::optional<std::string>> take_open(storage::write_transaction& txn,
                                             const storage::main_tables& tables, std::uint32_t queue,
                                             const message_place& where) {
  const open_key key{queue, where};
  auto value = txn.get(tables.unsettled, key.view());
  if (!value) return value.error();
  std::optional<std::string> id;
  if (!*value) return id;
  if (const auto said = unchecked(key.view(), **value))
    id.emplace(reinterpret_cast<const char*>(said->data()), said->size());
  if (auto erased = txn.erase(tables.unsettled, key.view()); !erased) return erased.error();
  return id;
}

result<bool> is_open(const storage::transaction& txn, const storage::main_tables& tables, std::uint32_t queue,
                     const message_place& where) {
  auto value = txn.get(tables.unsettled, open_key{queue, where}.view());
  if (!value) return value.error();
  return value->has_value();
}

result<std::vector<message_place>> read_open(const storage::transaction& txn,
                                             const storage::main_tables& tables, std::uint32_t queue,
                                             std::size_t most) {
  std::vector<message_place> found;
  auto c = storage::cursor::open(txn, tables.unsettled);
  if (!c) return c.error();
  const open_key first{queue, {}};
  auto at = c->move(MDB_SET_RANGE, first.view());
  for (; found.size() < most; at = c->move(MDB_NEXT)) {
    if (!at) return at.error();
    const auto key = *at ? parse_open((*at)->key) : std::nullopt;
    if (!key || key->queue() != queue) break;
    found.push_back(key->where());
  }
  return found;
}

result<std::vector<std::uint32_t>> queues_with_open(const storage::transaction& txn,
                                                    const storage::main_tables& tables) {
  std::vector<std::uint32_t> found;
  auto c = storage::cursor::open(txn, tables.unsettled);
  if (!c) return c.error();
  auto at = c->move(MDB_FIRST);
  for (;;) {
    if (!at) return at.error();
    const auto key = *at ? parse_open((*at)->key) : std::nullopt;
    if (!key) return found;
    found.push_back(key->queue());
    if (found.back() == UINT32_MAX) return found;
    const open_key next{found.back() + 1, {}};
    at = c->move(MDB_SET_RANGE, next.view());
  }
}

namespace {

/// Walks over both tables, and compares them.
class ticket_survey {
 public:
  ticket_survey(const storage::transaction& txn, const storage::main_tables& tables) noexcept
      : txn_{txn}, tables_{tables} {}

  result<damaged_tickets> run(const std::function<bool(std::uint32_t)>& has_queue, std::int64_t now) {
    if (auto read = read_tickets(); !read) return read.error();
    if (auto read = read_what_queues_have(has_queue); !read) return read.error();
    for (auto& [id, known] : tickets_) {
      if (known.row.unsettled == known.open && (known.open == 0) == (known.row.settled != 0)) continue;
      const std::uint32_t others =
          known.open + known.row.acknowledged + known.row.expired + known.row.dead_lettered;
      known.row.unsettled = known.open;
      known.row.discarded = known.row.routed - std::min(known.row.routed, others);
      if (known.open > 0) {
        if (known.row.settled != 0)
          found_.rows.push_back(copy_of(bytes_of(key_of_settled(known.row.settled, id))));
        known.row.settled = 0;
      } else {
        known.row.due = 0;
        if (known.row.settled == 0) known.row.settled = now;
      }
      found_.wrong.emplace_back(id, known.row);
    }
    return std::move(found_);
  }

 private:
  struct known_ticket {
    ticket_row row;
    std::uint32_t open = 0;
  };

  result<void> read_tickets() {
    std::vector<settled_ticket> settled;
    auto c = storage::cursor::open(txn_, tables_.tickets);
    if (!c) return c.error();
    for (auto at = c->move(MDB_FIRST);; at = c->move(MDB_NEXT)) {
      if (!at) return at.error();
      if (!*at) break;
      const auto key = (*at)->key;
      if (auto when = parse_settled(key)) {
        settled.push_back(std::move(*when));
        continue;
      }
      const auto row =
          !key.empty() && static_cast<char>(key[0]) == by_id ? parse_ticket(key, (*at)->value) : std::nullopt;
      if (!row) {
        found_.rows.push_back(copy_of(key));
        continue;
      }
      tickets_[{reinterpret_cast<const char*>(key.data()) + 1, key.size() - 1}] = {*row};
    }
    for (const auto& [time, id] : settled) {
      const auto known = tickets_.find(id);
      if (known == tickets_.end() || known->second.row.settled != time)
        found_.rows.push_back(copy_of(bytes_of(key_of_settled(time, id))));
    }
    return {};
  }

  using known_by_place = std::map<message_place, known_ticket*>;

  result<void> read_what_queues_have(const std::function<bool(std::uint32_t)>& has_queue) {
    std::map<std::uint32_t, known_by_place> by_queue;
    auto c = storage::cursor::open(txn_, tables_.unsettled);
    if (!c) return c.error();
    for (auto at = c->move(MDB_FIRST);; at = c->move(MDB_NEXT)) {
      if (!at) return at.error();
      if (!*at) break;
      const auto key = parse_open((*at)->key);
      const auto id = key ? unchecked((*at)->key, (*at)->value) : std::nullopt;
      const auto known =
          id ? tickets_.find({reinterpret_cast<const char*>(id->data()), id->size()}) : tickets_.end();
      if (known == tickets_.end() || known->second.row.where != key->where()) {
        found_.open.push_back(copy_of((*at)->key));
      } else {
        ++known->second.open;
        by_queue[key->queue()].emplace(key->where(), &known->second);
      }
    }
    for (auto& [queue, has] : by_queue) {
      // Those of a queue that is gone are given up when the store is opened.
      if (queue != not_routed_yet && !has_queue(queue)) continue;
      auto found = queue == not_routed_yet ? leave_unscheduled(has) : leave_missing(queue, has);
      if (!found) return found;
      for (const auto& [where, ticket] : has) {
        found_.open.push_back(copy_of(open_key{queue, where}.view()));
        --ticket->open;
      }
    }
    return {};
  }

  /// Takes off what does wait.
  result<void> leave_unscheduled(known_by_place& all) {
    constexpr std::size_t at_a_time = 4'096;
    for (scheduled_message from;;) {
      auto some = read_schedule(txn_, tables_, from, at_a_time);
      if (!some) {
        if (some.error() != errc::damaged) return some.error();
        all.clear();  // that is mended first
        return {};
      }
      for (const scheduled_message& m : *some) all.erase({m.log, m.partition, m.offset});
      if (some->size() < at_a_time) return {};
      from = some->back();
      ++from.offset;
    }
  }

  /// Takes off what is in the queue.
  result<void> leave_missing(std::uint32_t queue, known_by_place& all) {
    auto read = for_each_unsettled(txn_, tables_, queue, [&all](std::uint64_t, const reference& where) {
      all.erase({where.log, where.partition, where.offset});
    });
    if (!read && read.error() != errc::damaged) return read;
    if (!read) all.clear();  // that is mended first
    return {};
  }

  const storage::transaction& txn_;
  const storage::main_tables& tables_;
  std::map<std::string, known_ticket> tickets_;
  damaged_tickets found_;
};

}  // namespace

result<damaged_tickets> examine_tickets(const storage::transaction& txn, const storage::main_tables& tables,
                                        const std::function<bool(std::uint32_t)>& has_queue,
                                        std::int64_t now) {
  return ticket_survey{txn, tables}.run(has_queue, now);
}

result<void> repair_tickets(storage::write_transaction& txn, const storage::main_tables& tables,
                            const damaged_tickets& found) {
  for (const auto& key : found.rows) {
    if (auto erased = txn.erase(tables.tickets, key); !erased) return erased.error();
  }
  for (const auto& key : found.open) {
    if (auto erased = txn.erase(tables.unsettled, key); !erased) return erased.error();
  }
  for (const auto& [id, row] : found.wrong) {
    if (auto stored = put_ticket(txn, tables, id, row); !stored) return stored;
  }
  return {};
}

}  // namespace levada::queue
