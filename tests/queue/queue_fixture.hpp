#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include "queue/queue_blocks.hpp"

namespace levada::queue {

// Found by argument-dependent lookup in expectations.
inline bool operator==(const reference& a, const reference& b) {
  return a.log == b.log && a.partition == b.partition && a.deliveries == b.deliveries &&
         a.offset == b.offset && a.expires == b.expires && a.bytes == b.bytes && a.not_before == b.not_before;
}
inline void PrintTo(const reference& r, std::ostream* out) {
  *out << "log " << r.log << " partition " << r.partition << " deliveries " << r.deliveries << " offset "
       << r.offset << " expires " << r.expires << " bytes " << r.bytes << " not before " << r.not_before;
}

}  // namespace levada::queue

namespace levada::queue::test {

using levada::test::fails_with;
using levada::test::ok;

/// A main environment of its own, without flushes, with a small vocabulary over one queue in it.
class queue_fixture : public ::testing::Test {
 protected:
  static constexpr std::uint32_t id = 7;

  /// What stands at a position in these tests: each part tells its position. It expires late.
  static reference nth(std::uint64_t position) {
    return {static_cast<std::uint32_t>(3 + position % 5),
            static_cast<std::uint16_t>(position % 7),
            0,
            1'000'000 + position,
            static_cast<std::int64_t>(2'000'000 + position),
            static_cast<std::uint32_t>(3'000'000 + position)};
  }
  static std::vector<reference> references(std::uint64_t from, std::uint64_t to) {
    std::vector<reference> all;
    for (std::uint64_t p = from; p < to; ++p) all.push_back(nth(p));
    return all;
  }
  static std::uint64_t bytes_of(const std::vector<reference>& entries) {
    std::uint64_t bytes = 0;
    for (const reference& e : entries) bytes += e.bytes;
    return bytes;
  }
  static std::vector<std::uint64_t> positions(std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint64_t> all;
    for (std::uint64_t p = from; p < to; ++p) all.push_back(p);
    return all;
  }

  template <class Function>
  void write(Function function) {
    auto txn = ok(storage::write_transaction::begin(main_.env()));
    function(txn);
    ASSERT_EQ(txn.commit(), 0);
  }
  [[nodiscard]] storage::read_transaction read() const {
    return ok(storage::read_transaction::begin(main_.env()));
  }

  /// Appends these references and stores the row.
  void append_these(const std::vector<reference>& entries, std::uint32_t queue = id) {
    write([&](auto& txn) {
      queue_row row = ok(read_row(txn, tables(), queue)).value_or(queue_row{});
      ok(append(txn, tables(), queue, row, entries));
      ok(write_row(txn, tables(), queue, row));
    });
  }
  /// The same with those of the next `count` positions.
  void append_next(std::size_t count, std::uint32_t queue = id) {
    const std::uint64_t tail = row_of(queue).tail;
    append_these(references(tail, tail + count), queue);
  }
  /// Leaves the row as it is; returns the bytes.
  std::uint64_t settle_all(const std::vector<std::uint64_t>& which, std::uint32_t queue = id) {
    std::uint64_t bytes = 0;
    write([&](auto& txn) { bytes = ok(settle(txn, tables(), queue, which)).bytes; });
    return bytes;
  }
  void mark_all(const std::vector<std::uint64_t>& which) {
    write([&](auto& txn) { ok(mark_delivered(txn, tables(), id, which)); });
  }
  /// The stored row; that of an empty queue where there is none.
  [[nodiscard]] queue_row row_of(std::uint32_t queue = id) const {
    return ok(read_row(read(), tables(), queue)).value_or(queue_row{});
  }
  [[nodiscard]] std::optional<block> block_at(std::uint64_t number, std::uint32_t queue = id) const {
    return ok(read_block(read(), tables(), queue, number));
  }

  /// Stored bytes, past the code that is tested.
  [[nodiscard]] std::string stored(const std::string& key) const {
    const auto txn = read();
    const auto value = ok(txn.get(tables().queues, std::as_bytes(std::span{key})));
    if (!value) return {};
    return {reinterpret_cast<const char*>(value->data()), value->size()};
  }
  void store(const std::string& key, const std::string& value) {
    write([&](auto& txn) {
      ok(txn.put(tables().queues, std::as_bytes(std::span{key}), std::as_bytes(std::span{value})));
    });
  }
  /// The key of a block as docs/storage-format.md has it: queue and number, each 8 bytes, big-endian.
  static std::string key_of(std::uint64_t queue, std::uint64_t number) {
    std::string key;
    for (const std::uint64_t part : {queue, number}) {
      for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(part >> shift & 0xff);
    }
    return key;
  }
  static std::string state_key_of(std::uint64_t queue) { return key_of(queue, ~std::uint64_t{0}); }

  [[nodiscard]] const storage::main_environment& environment() const { return main_; }
  [[nodiscard]] const storage::main_tables& tables() const { return main_.tables(); }

 private:
  levada::test::temporary_directory directory_;
  storage::main_environment main_ = ok(storage::main_environment::create(
      directory_.path(), {.map_bytes = std::size_t{64} << 20, .no_sync = true}));
};

}  // namespace levada::queue::test
