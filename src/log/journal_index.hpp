#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "log/log_state.hpp"
#include "storage/main_environment.hpp"

namespace levada::log {

struct journal_extent {
  std::uint64_t next_sequence = 0;  ///< one beyond the last row
  std::int64_t time_last = 0;       ///< largest time of a record, microseconds since 1970
  /// The log that the row at `next_sequence` belongs to, when it stopped there because nobody knows it.
  std::optional<std::uint32_t> unknown_log;
};

/// Notes the journal's rows from `first` on in the logs that `find` returns by id; stops before a row of a
/// log for which it returns nothing. Looks at headers only, and fails with `damaged` where offsets are not
/// dense.
[[nodiscard]] result<journal_extent> index_journal(const storage::main_environment& main, std::uint64_t first,
                                                   const std::function<log_state*(std::uint32_t)>& find);

}  // namespace levada::log
