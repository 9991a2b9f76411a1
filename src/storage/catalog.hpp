#pragma once

/// @file
/// What exists in a store, as plain values; their stored form (schemas/) stays inside catalog.cpp.

#include <cstdint>
#include <string>
#include <vector>

#include "storage/main_environment.hpp"

namespace levada::storage {

/// The format that this version writes, and the newest that it reads.
inline constexpr std::uint32_t format_version = 1;

struct store_entry {
  std::uint32_t format = format_version;
  std::int64_t created = 0;
  std::uint32_t next_id = 1;
  std::uint32_t epoch = 0;
};

struct log_entry {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t partitions = 1;
  std::int64_t created = 0;
  /// 0 for a plain topic, else the `exchange_type`.
  std::uint8_t exchange = 0;
};

struct group_entry {
  struct partition {
    std::uint32_t log = 0;
    std::uint32_t partition = 0;
  };
  struct member {
    std::string id;
    std::vector<partition> assignment;
  };
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t generation = 0;
  std::vector<member> members;
};

struct queue_entry {
  std::uint32_t id = 0;
  std::string name;
  bool exclusive = false;
  std::int64_t created = 0;
};

struct binding_entry {
  std::uint32_t id = 0;
  std::uint32_t exchange = 0;
  std::uint32_t queue = 0;
  std::string key;
};

/// The whole catalogue.
struct catalog {
  store_entry store;
  std::vector<log_entry> logs;
  std::vector<group_entry> groups;
  std::vector<queue_entry> queues;
  std::vector<binding_entry> bindings;
};

/// Reads everything. `errc::damaged` for what cannot be decoded, `errc::unsupported_format` for a newer
/// store.
[[nodiscard]] result<catalog> read_catalog(const transaction& txn, const main_tables& tables);

[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const store_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const log_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const group_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const queue_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const binding_entry& entry);

[[nodiscard]] result<void> erase_queue(write_transaction& txn, const main_tables& tables, std::uint32_t id);
[[nodiscard]] result<void> erase_binding(write_transaction& txn, const main_tables& tables, std::uint32_t id);

}  // namespace levada::storage
