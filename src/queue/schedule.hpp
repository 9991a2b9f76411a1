#pragma once

/// @file
/// The stored form of what waits to be routed: messages that were published with a delay, by when they are
/// due.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "storage/main_environment.hpp"

namespace levada::queue {

/// A message in the log of the exchange that it was published to. Ordered by when it is due.
struct scheduled_message {
  std::int64_t due = 0;  // microseconds since 1970; not negative
  std::uint32_t log = 0;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
  auto operator<=>(const scheduled_message&) const = default;
};

[[nodiscard]] result<void> put(storage::write_transaction& txn, const storage::main_tables& tables,
                               const scheduled_message& message);
/// Whether it was there.
[[nodiscard]] result<bool> erase(storage::write_transaction& txn, const storage::main_tables& tables,
                                 const scheduled_message& message);
/// Up to `most` of them, the first at or after `from`. Fails with `damaged`.
[[nodiscard]] result<std::vector<scheduled_message>> read_schedule(const storage::transaction& txn,
                                                                   const storage::main_tables& tables,
                                                                   const scheduled_message& from,
                                                                   std::size_t most);

/// Calls `each(message)` for all of them, in transactions of their own for so many at a time.
template <class Each>
[[nodiscard]] result<void> for_each_scheduled(const storage::main_environment& main, Each each) {
  constexpr std::size_t slice = 4'096;
  for (scheduled_message from;;) {
    auto txn = storage::read_transaction::begin(main.env());
    if (!txn) return txn.error();
    auto some = read_schedule(*txn, main.tables(), from, slice);
    if (!some) return some.error();
    for (const scheduled_message& m : *some) each(m);
    if (some->size() < slice) return {};
    from = some->back();
    ++from.offset;
  }
}

/// What is wrong with the table.
struct damaged_schedule {
  std::vector<std::vector<std::byte>> keys;  // of rows that cannot be believed
  std::vector<scheduled_message> lost;       // whose messages are
};
/// `is_lost` tells whether a message is no more.
[[nodiscard]] result<damaged_schedule> examine_schedule(
    const storage::transaction& txn, const storage::main_tables& tables,
    const std::function<bool(const scheduled_message&)>& is_lost);
/// Erases what has been found.
[[nodiscard]] result<void> repair_schedule(storage::write_transaction& txn,
                                           const storage::main_tables& tables, const damaged_schedule& found);

}  // namespace levada::queue
