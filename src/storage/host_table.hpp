#pragma once

/// @file
/// The stored form of the host's tables: all in one LMDB table, each value in in-page pieces.
///
/// Keys are what `table_key` encodes and a zero byte, which ends them; so no key begins another.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/main_environment.hpp"

#include <levada/table_key.hpp>

namespace levada::storage {

/// The key under which rows of a table's key begin.
[[nodiscard]] std::string host_key(std::string_view encoded);
/// The other way round; nothing where it is none.
[[nodiscard]] std::optional<table_key> key_of_host(std::string_view stored);

/// The value under a key. `errc::damaged` where pieces are missing or the checksum is wrong.
[[nodiscard]] result<std::optional<std::string>> get_host_value(const transaction& txn,
                                                                const main_tables& tables,
                                                                std::uint32_t table, std::string_view key);
[[nodiscard]] result<void> put_host_value(write_transaction& txn, const main_tables& tables,
                                          std::uint32_t table, std::string_view key, std::string_view value);
/// Whether there was one.
[[nodiscard]] result<bool> erase_host_value(write_transaction& txn, const main_tables& tables,
                                            std::uint32_t table, std::string_view key);

/// Walks a range of one table. To be closed before its transaction ends, and before the next write.
class host_scanner {
 public:
  struct bounds {
    std::string_view lower;  ///< the first key
    std::string_view upper;  ///< the first beyond; empty: none
    bool reverse = false;
  };
  [[nodiscard]] static result<host_scanner> open(const transaction& txn, const main_tables& tables,
                                                 std::uint32_t table, const bounds& range);
  struct entry {
    std::string key;
    std::string value;
  };
  /// The next one; nothing at the end.
  [[nodiscard]] result<std::optional<entry>> next();

 private:
  host_scanner(cursor c, std::uint32_t table, const bounds& range);
  [[nodiscard]] result<std::optional<cursor::entry>> step();

  cursor cursor_;
  std::uint32_t table_;
  std::string lower_;
  std::string upper_;
  bool reverse_;
  std::string at_;  // the row that the last value began with; empty before the first
};

/// The ids of tables that have rows.
[[nodiscard]] result<std::vector<std::uint32_t>> stored_host_tables(const transaction& txn,
                                                                    const main_tables& tables);
/// Erases up to `rows_max` rows of a table. Returns whether none are left.
[[nodiscard]] result<bool> erase_some_host_rows(write_transaction& txn, const main_tables& tables,
                                                std::uint32_t table, std::size_t rows_max);

}  // namespace levada::storage
