#pragma once

/// @file
/// The stored form of committed offsets.

#include <cstdint>
#include <optional>
#include <vector>

#include "storage/main_environment.hpp"

namespace levada::group {

struct committed_offset {
  std::uint32_t group = 0;
  std::uint32_t log = 0;
  std::uint32_t partition = 0;
  std::uint64_t next = 0;  ///< the next offset to read
  std::int64_t time = 0;   ///< of the commit, microseconds since 1970
};

[[nodiscard]] result<void> write_offset(storage::write_transaction& txn, const storage::main_tables& tables,
                                        const committed_offset& entry);
[[nodiscard]] result<std::optional<committed_offset>> read_offset(const storage::transaction& txn,
                                                                  const storage::main_tables& tables,
                                                                  std::uint32_t group, std::uint32_t log,
                                                                  std::uint32_t partition);
/// All offsets, by group, log and partition.
[[nodiscard]] result<std::vector<committed_offset>> read_offsets(const storage::transaction& txn,
                                                                 const storage::main_tables& tables);

/// Erases what all groups have committed for a log.
[[nodiscard]] result<void> erase_offsets_of(storage::write_transaction& txn,
                                            const storage::main_tables& tables, std::uint32_t log);

}  // namespace levada::group
