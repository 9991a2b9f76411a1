#include "log/journal_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace levada::log {

result<journal_extent> index_journal(journal_reader& journal, std::uint64_t first,
                                     const find_log_function& find, std::uint64_t rows_max) {
  journal_extent extent{.next_sequence = first};
  std::optional<error> damage;
  std::optional<std::uint32_t> previous;  // neighbours mostly share their log
  log_state* log = nullptr;
  auto walked = journal.for_each_row(first, [&](const storage::row_view& row) {
    if (rows_max-- == 0) return false;
    const auto& header = row.header;
    if (previous != header.log) {
      const auto found = find(header.log);
      if (!found) {
        damage = error{errc::damaged, fmt::format("journal row {} belongs to log {}, which does not exist",
                                                  row.sequence, header.log)};
        return false;
      }
      log = *found;
      previous = header.log;
    }
    extent.next_sequence = row.sequence + 1;
    // What publishers say is no time of the bus, also in logs that have been deleted.
    if (log != nullptr && !log->create_time())
      extent.time_last = std::max(extent.time_last, header.time_last);
    const std::uint64_t bytes = sizeof header + header.records_size;
    extent.bytes += bytes;
    if (log == nullptr) return true;
    log->add_journal_bytes(bytes);
    if (header.count == 0) return true;
    const std::lock_guard guard{log->mutex()};
    // Before the log's beginning, which is what is known of its end until a row goes beyond it, rows may
    // start anywhere: those before them may be gone.
    const auto follows = [&] {
      const std::uint64_t end = log->end(header.partition);
      return header.base_offset == end || (header.base_offset < end && end == log->begin(header.partition));
    };
    if (header.partition >= log->partitions() || !follows()) {
      damage = error{errc::damaged,
                     fmt::format("read topic '{}' partition {}: offset {} is missing (journal row {} "
                                 "begins at {})",
                                 log->name(), header.partition,
                                 header.partition < log->partitions() ? log->end(header.partition) : 0,
                                 row.sequence, header.base_offset)};
      return false;
    }
    log->add_row(row.sequence, header.partition, header.base_offset, header.count, header.time_last);
    return true;
  });
  if (!walked) return walked.error();
  if (damage) return *damage;
  return extent;
}

}  // namespace levada::log
