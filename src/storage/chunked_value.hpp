#pragma once

/// @file
/// Values larger than a row, cut into in-page pieces: the one helper for all tables that need it.
///
/// Stored under keys of 16 bytes: the caller's 8-byte key, then the number of the chunk (both big-endian).
/// The first chunk begins with the size and the checksum of the whole.

#include <cstdint>
#include <optional>
#include <vector>

#include "storage/lmdb.hpp"

namespace levada::storage {

/// Writes `value` under `key`, replacing what was there.
[[nodiscard]] result<void> put_chunked(write_transaction& txn, MDB_dbi table, std::uint64_t key, bytes value);
/// Erases the value under `key`; none is no error.
[[nodiscard]] result<void> erase_chunked(write_transaction& txn, MDB_dbi table, std::uint64_t key);

/// Walks all values of a table in key order.
class chunked_reader {
 public:
  /// `passed_over` is the key of a value that `next` does not look at.
  [[nodiscard]] static result<chunked_reader> open(const transaction& txn, MDB_dbi table,
                                                   std::optional<std::uint64_t> passed_over = std::nullopt);

  struct entry {
    std::uint64_t key = 0;
    /// The value, in 8-byte words so that Cap'n Proto may read it in place; the last word is padded with
    /// zeros.
    std::vector<std::uint64_t> words;
    std::size_t size = 0;
  };
  /// The next value, nothing at the end, `errc::damaged` where chunks are missing or the checksum is wrong.
  [[nodiscard]] result<std::optional<entry>> next();
  /// The value under `key`; nothing where there is none.
  [[nodiscard]] result<std::optional<entry>> find(std::uint64_t key);

 private:
  chunked_reader(cursor c, std::optional<std::uint64_t> passed_over) noexcept
      : cursor_{std::move(c)}, passed_over_{passed_over} {}
  /// The value whose first chunk is there.
  [[nodiscard]] result<std::optional<entry>> read(result<std::optional<cursor::entry>> at);
  cursor cursor_;
  std::optional<std::uint64_t> passed_over_;
  bool started_ = false;
};

}  // namespace levada::storage
