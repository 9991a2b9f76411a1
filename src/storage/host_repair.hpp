#pragma once

/// @file
/// Finding what is damaged in the host's tables, and giving it up.

#include <cstdint>
#include <string>
#include <vector>

#include "storage/main_environment.hpp"

namespace levada::storage {

/// A value that cannot be read.
struct damaged_host_value {
  std::string key;  ///< as stored; whatever stands there, where that is no key
  std::string why;
};

/// All of a table, in the order of their keys.
[[nodiscard]] result<std::vector<damaged_host_value>> find_damaged_host_values(const transaction& txn,
                                                                               const main_tables& tables,
                                                                               std::uint32_t table);
/// Erases all pieces under a key, whatever they are.
[[nodiscard]] result<void> give_up_host_value(write_transaction& txn, const main_tables& tables,
                                              std::uint32_t table, const std::string& key);

}  // namespace levada::storage
