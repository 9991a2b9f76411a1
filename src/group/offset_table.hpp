#pragma once

/// @file
/// The stored form of committed offsets.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/main_environment.hpp"

namespace levada::group {

/// An offset that a group has committed for a partition.
struct offset_row {
  std::uint32_t group = 0;
  std::uint32_t log = 0;
  std::uint32_t partition = 0;
  std::uint64_t next = 0;     ///< the next offset to read
  std::int64_t time = 0;      ///< of the commit, microseconds since 1970
  std::string metadata = {};  ///< as the committer gave it
};

[[nodiscard]] result<void> write_offset(storage::write_transaction& txn, const storage::main_tables& tables,
                                        const offset_row& entry);
[[nodiscard]] result<std::optional<offset_row>> read_offset(const storage::transaction& txn,
                                                            const storage::main_tables& tables,
                                                            std::uint32_t group, std::uint32_t log,
                                                            std::uint32_t partition);
/// All offsets, by group, log and partition.
[[nodiscard]] result<std::vector<offset_row>> read_offsets(const storage::transaction& txn,
                                                           const storage::main_tables& tables);

/// Erases what all groups have committed for a log.
[[nodiscard]] result<void> erase_offsets_of(storage::write_transaction& txn,
                                            const storage::main_tables& tables, std::uint32_t log);

/// Erases what a group has committed.
[[nodiscard]] result<void> erase_offsets_of_group(storage::write_transaction& txn,
                                                  const storage::main_tables& tables, std::uint32_t group);

}  // namespace levada::group
