#pragma once

/// @file
/// The stored form of tickets: what is known of messages whose publishers want to know what becomes of them.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/main_environment.hpp"

namespace levada::queue {

/// Where a message stands in the log of the exchange that it was published to.
struct message_place {
  std::uint32_t log = 0;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
  auto operator<=>(const message_place&) const = default;
};

/// What is known of one message. Times are in microseconds since 1970.
struct ticket_row {
  message_place where;
  std::int64_t published = 0;
  std::int64_t due = 0;      // while it waits to be routed: until when; 0: it does not
  std::int64_t settled = 0;  // since when nothing is open any more; 0: something is
  std::uint32_t routed = 0;  // to how many queues
  std::uint32_t refused = 0;
  std::uint32_t unsettled = 0;
  std::uint32_t acknowledged = 0;
  std::uint32_t expired = 0;
  std::uint32_t dead_lettered = 0;
  std::uint32_t discarded = 0;
  std::uint32_t reserved = 0;
  bool operator==(const ticket_row&) const = default;
};
static_assert(sizeof(ticket_row) == 72);

/// In place of a queue's id: the schedule has it, and no queue yet.
inline constexpr std::uint32_t not_routed_yet = 0;

/// Nothing where there is none; fails with `damaged`. Ids of messages are at most 255 bytes.
[[nodiscard]] result<std::optional<ticket_row>> read_ticket(const storage::transaction& txn,
                                                            const storage::main_tables& tables,
                                                            std::string_view message_id);
/// Writes it, and where it is settled notes that for `forget_settled`.
[[nodiscard]] result<void> put_ticket(storage::write_transaction& txn, const storage::main_tables& tables,
                                      std::string_view message_id, const ticket_row& row);
/// Whether it was there. What queues have of it stays.
[[nodiscard]] result<bool> erase_ticket(storage::write_transaction& txn, const storage::main_tables& tables,
                                        std::string_view message_id);
/// Forgets up to `most` of those that have been settled before that time, those first that were so first.
/// Returns how many.
[[nodiscard]] result<std::size_t> forget_settled(storage::write_transaction& txn,
                                                 const storage::main_tables& tables, std::int64_t before,
                                                 std::size_t most);
/// When the first was settled of those that are; nothing where none is.
[[nodiscard]] result<std::optional<std::int64_t>> first_settled(const storage::transaction& txn,
                                                                const storage::main_tables& tables);

/// Notes that a queue has a message that there is a ticket for.
[[nodiscard]] result<void> put_open(storage::write_transaction& txn, const storage::main_tables& tables,
                                    std::uint32_t queue, const message_place& where,
                                    std::string_view message_id);
/// Erases that, and returns the message's id; nothing where there was nothing that can be believed.
[[nodiscard]] result<std::optional<std::string>> take_open(storage::write_transaction& txn,
                                                           const storage::main_tables& tables,
                                                           std::uint32_t queue, const message_place& where);
/// Whether a queue has it.
[[nodiscard]] result<bool> is_open(const storage::transaction& txn, const storage::main_tables& tables,
                                   std::uint32_t queue, const message_place& where);
/// Up to `most` of what a queue has.
[[nodiscard]] result<std::vector<message_place>> read_open(const storage::transaction& txn,
                                                           const storage::main_tables& tables,
                                                           std::uint32_t queue, std::size_t most);

/// The ids of all queues that have something, `not_routed_yet` among them.
[[nodiscard]] result<std::vector<std::uint32_t>> queues_with_open(const storage::transaction& txn,
                                                                  const storage::main_tables& tables);

/// What is wrong with the tables.
struct damaged_tickets {
  std::vector<std::vector<std::byte>> rows;               // keys of what cannot be believed about tickets
  std::vector<std::vector<std::byte>> open;               // the same about what queues have
  std::vector<std::pair<std::string, ticket_row>> wrong;  // as they are to be, by what queues have
  [[nodiscard]] std::size_t size() const noexcept { return rows.size() + open.size() + wrong.size(); }
};
/// `has_queue` tells whether a queue exists, and can be read. What nobody has any more, counts as discarded
/// at `now`.
[[nodiscard]] result<damaged_tickets> examine_tickets(const storage::transaction& txn,
                                                      const storage::main_tables& tables,
                                                      const std::function<bool(std::uint32_t)>& has_queue,
                                                      std::int64_t now);
/// Drops what cannot be believed, and puts the rest right.
[[nodiscard]] result<void> repair_tickets(storage::write_transaction& txn, const storage::main_tables& tables,
                                          const damaged_tickets& found);

}  // namespace levada::queue
