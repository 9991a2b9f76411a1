#pragma once

/// @file
/// Scanning a table as somebody sees it who has written to it and not committed yet.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bus/slots.hpp"
#include "storage/main_environment.hpp"

#include <levada/table.hpp>

namespace levada {

/// What is to be written to a table, by stored key; nothing: to be erased.
using table_writes = std::map<std::string, std::optional<std::string>>;

/// A part of a table as it is stored: to be compared with what is there later.
struct read_range {
  std::string lower;
  std::string upper;  ///< the first key beyond; empty: none
  std::uint64_t hash = 0;
};
/// What the hash of a stored range is now.
[[nodiscard]] result<std::uint64_t> hash_range(const storage::transaction& txn,
                                               const storage::main_tables& tables, std::uint32_t table,
                                               const read_range& range);

struct table_scan {
  std::vector<table_entry> entries;
  /// What has been read of the stored table for that.
  read_range read;
};
/// `own` hides what is stored under its keys.
[[nodiscard]] result<table_scan> scan_table(const storage::transaction& txn,
                                            const storage::main_tables& tables, const table_slot& table,
                                            const key_range& range, const scan_options& options,
                                            const table_writes& own = {});

}  // namespace levada
