#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "log/journal_reader.hpp"
#include "log/log_state.hpp"

namespace levada::log {

struct journal_extent {
  std::uint64_t next_sequence = 0;  ///< one beyond the last row
  std::int64_t time_last = 0;       ///< largest append time of a record, microseconds since 1970
  std::uint64_t bytes = 0;          ///< of the rows
};

/// Finds a log by its id: null for one that has been deleted, nothing for one that never was.
using find_log_function = std::function<std::optional<log_state*>(std::uint32_t)>;

/// Notes the journal's rows from `first` on in the logs that `find` returns; rows of deleted logs are passed
/// over. Looks at headers only, and fails with `damaged` where offsets are not dense or a log never was. Ends
/// after `rows_max` rows at the latest.
[[nodiscard]] result<journal_extent> index_journal(journal_reader& journal, std::uint64_t first,
                                                   const find_log_function& find,
                                                   std::uint64_t rows_max = UINT64_MAX);

}  // namespace levada::log
