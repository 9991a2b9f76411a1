#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include "storage/main_environment.hpp"

namespace levada::test {

/// Bytes as text, so that golden bytes compare and print as one line.
inline std::string hex(storage::bytes data) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(data.size() * 2);
  for (const std::byte b : data) {
    text.push_back(digits[std::to_integer<std::size_t>(b >> 4)]);
    text.push_back(digits[std::to_integer<std::size_t>(b & std::byte{15})]);
  }
  return text;
}

inline storage::bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span{text});
}

/// The bytes of a plain struct.
template <class T>
storage::bytes bytes_of(const T& object) {
  return std::as_bytes(std::span{&object, 1});
}

inline std::vector<std::byte> copy_of(storage::bytes data) {
  return {data.begin(), data.end()};
}

/// An empty main environment, not synced, and a small vocabulary over it.
class main_fixture : public ::testing::Test {
 protected:
  struct entry {
    std::vector<std::byte> key;
    std::vector<std::byte> value;
  };

  [[nodiscard]] storage::main_environment& main() { return main_; }
  [[nodiscard]] const storage::main_tables& tables() const { return main_.tables(); }
  [[nodiscard]] storage::write_transaction write() {
    return ok(storage::write_transaction::begin(main_.env()));
  }
  [[nodiscard]] storage::read_transaction read() { return ok(storage::read_transaction::begin(main_.env())); }

  /// Copies of all entries of a table, in key order.
  static std::vector<entry> all_of(const storage::transaction& txn, MDB_dbi table) {
    std::vector<entry> all;
    auto c = ok(storage::cursor::open(txn, table));
    for (auto at = ok(c.move(MDB_FIRST)); at; at = ok(c.move(MDB_NEXT))) {
      all.push_back({copy_of(at->key), copy_of(at->value)});
    }
    return all;
  }

 private:
  temporary_directory directory_;
  storage::main_environment main_ = ok(storage::main_environment::create(
      directory_.path(), {.map_bytes = std::size_t{64} << 20, .no_sync = true}));
};

}  // namespace levada::test
