#pragma once

/// @file
/// The stored form of what is known of idempotent producers.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/main_environment.hpp"

namespace levada::log {

struct producer_state {
  std::uint64_t last_sequence = 0;  ///< of the last record that is stored; 0: none yet
  std::uint64_t epoch = 0;          ///< grows with each producer that is made under the id
  std::int64_t time = 0;            ///< of the commit, microseconds since 1970
};

struct stored_producer {
  std::uint32_t log = 0;
  std::string id;
  producer_state state;
};

/// Precondition: `id` is a valid name.
[[nodiscard]] result<void> write_producer(storage::write_transaction& txn, const storage::main_tables& tables,
                                          std::uint32_t log, std::string_view id,
                                          const producer_state& state);
[[nodiscard]] result<std::optional<producer_state>> read_producer(const storage::transaction& txn,
                                                                  const storage::main_tables& tables,
                                                                  std::uint32_t log, std::string_view id);
/// All producers, by log and id.
[[nodiscard]] result<std::vector<stored_producer>> read_producers(const storage::transaction& txn,
                                                                  const storage::main_tables& tables);

/// Erases all producers of a log, also those that cannot be read.
[[nodiscard]] result<void> erase_producers_of(storage::write_transaction& txn,
                                              const storage::main_tables& tables, std::uint32_t log);

}  // namespace levada::log
