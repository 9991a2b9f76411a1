#include "log/journal_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "log/journal_reader.hpp"

namespace levada::log {

result<journal_extent> index_journal(const storage::main_environment& main, std::uint64_t first,
                                     const std::function<log_state*(std::uint32_t)>& find) {
  auto reader = journal_reader::open(main);
  if (!reader) return reader.error();
  journal_extent extent{first, 0, std::nullopt};
  std::optional<error> damage;
  log_state* log = nullptr;  // of the previous row: neighbours mostly share it
  auto walked = reader->for_each_row(first, [&](const storage::row_view& row) {
    const auto& header = row.header;
    if (log == nullptr || log->id() != header.log) log = find(header.log);
    if (log == nullptr) {
      extent.next_sequence = row.sequence;
      extent.unknown_log = header.log;
      return false;
    }
    extent.next_sequence = row.sequence + 1;
    extent.time_last = std::max(extent.time_last, header.time_last);
    if (header.count == 0) return true;
    const std::lock_guard guard{log->mutex()};
    if (header.partition >= log->partitions() || header.base_offset != log->end(header.partition)) {
      damage = error{errc::damaged,
                     fmt::format("read topic '{}' partition {}: offset {} is missing (journal row {} "
                                 "begins at {})",
                                 log->name(), header.partition,
                                 header.partition < log->partitions() ? log->end(header.partition) : 0,
                                 row.sequence, header.base_offset)};
      return false;
    }
    log->add_row(row.sequence, header.partition, header.base_offset, header.count, header.time_first);
    return true;
  });
  if (!walked) return walked.error();
  if (damage) return *damage;
  return extent;
}

}  // namespace levada::log
