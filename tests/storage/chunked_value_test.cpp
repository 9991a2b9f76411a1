#include "storage/chunked_value.hpp"

#include <cstring>
#include <map>
#include <numeric>

#include "storage/row.hpp"
#include "storage_testing.hpp"

namespace levada::test {
namespace {

using storage::chunked_reader;
using storage::row_bytes_max;

constexpr std::size_t value_header_bytes = 16;
/// What goes into the first chunk, beside the header.
constexpr std::size_t first_chunk = row_bytes_max - value_header_bytes;

class ChunkedValue : public main_fixture {
 protected:
  static constexpr std::uint64_t key = 0x0000'0002'0000'0007;

  ChunkedValue() : txn_{write()} {}

  [[nodiscard]] MDB_dbi table() const { return tables().catalog; }
  storage::write_transaction& txn() { return txn_; }

  /// A value without runs, so that misplaced chunks show.
  static std::vector<std::byte> value_of(std::size_t size, unsigned salt = 0) {
    std::vector<std::byte> value(size);
    for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<std::byte>((i * 31 + i / 251 + salt) % 256);
    return value;
  }
  void put(std::uint64_t k, storage::bytes value) { ok(storage::put_chunked(txn_, table(), k, value)); }

  /// All values by key, or the reader's error.
  result<std::map<std::uint64_t, std::string>> read_values() {
    std::map<std::uint64_t, std::string> values;
    auto reader = ok(chunked_reader::open(txn_, table()));
    for (;;) {
      auto next = reader.next();
      if (!next) return next.error();
      if (!*next) return values;
      const auto& found = **next;
      EXPECT_EQ(found.words.size(), (found.size + 7) / 8);
      const storage::bytes padded = std::as_bytes(std::span{found.words});
      for (const std::byte b : padded.subspan(found.size)) EXPECT_EQ(b, std::byte{0}) << "padding";
      EXPECT_TRUE(values.emplace(found.key, hex(padded.first(found.size))).second) << "a value comes once";
    }
  }
  std::vector<entry> entries() { return all_of(txn_, table()); }
  void erase_entry(const entry& e) { EXPECT_TRUE(ok(txn_.erase(table(), e.key))); }

 private:
  storage::write_transaction txn_;
};

TEST_F(ChunkedValue, ComesBackWhateverItsSize) {
  std::map<std::uint64_t, std::string> expected;
  std::uint64_t k = 0;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{9}, first_chunk - 1,
        first_chunk, first_chunk + 1, first_chunk + row_bytes_max - 1, first_chunk + row_bytes_max,
        first_chunk + row_bytes_max + 1, std::size_t{300'000}}) {
    const auto value = value_of(size, static_cast<unsigned>(size));
    put(++k, value);
    expected[k] = hex(value);
  }
  EXPECT_EQ(ok(read_values()), expected);
}

TEST_F(ChunkedValue, TakesOneInPageEntryForEachChunk) {
  const std::pair<std::size_t, std::size_t> chunks_by_size[] = {{0, 1},
                                                                {1, 1},
                                                                {first_chunk, 1},
                                                                {first_chunk + 1, 2},
                                                                {first_chunk + row_bytes_max, 2},
                                                                {first_chunk + row_bytes_max + 1, 3}};
  for (const auto& [size, chunks] : chunks_by_size) {
    put(key, value_of(size));
    const auto stored = entries();
    EXPECT_EQ(stored.size(), chunks) << size;
    for (const auto& e : stored) {
      EXPECT_LE(e.value.size(), row_bytes_max);
      EXPECT_EQ(e.value.size() % 8, 0U);
    }
  }
}

TEST_F(ChunkedValue, IsStoredByteForByteAsPinned) {
  put(0x0102'0304'0506'0708, as_bytes("levada"));
  const auto stored = entries();
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(hex(stored[0].key), "01020304050607080000000000000000");
  EXPECT_EQ(hex(stored[0].value),
            "0600000000000000"   // size
            "cde07f2f8628c922"   // checksum
            "6c65766164610000")  // the value, padded
      << "stores that exist could no longer be read";
}

TEST_F(ChunkedValue, HasKeysInBigEndianOrder) {
  put(0x0100, value_of(row_bytes_max * 300));
  put(0x00ff, value_of(1));
  const auto stored = entries();
  ASSERT_EQ(stored.size(), 302U);
  EXPECT_EQ(hex(stored[0].key), "00000000000000ff0000000000000000");
  EXPECT_EQ(hex(stored[1].key), "00000000000001000000000000000000");
  EXPECT_EQ(hex(stored[256].key), "000000000000010000000000000000ff");
  EXPECT_EQ(hex(stored[257].key), "00000000000001000000000000000100");
}

TEST_F(ChunkedValue, LeavesNothingBehindWhenALargerOneIsReplaced) {
  const std::size_t sizes[] = {row_bytes_max * 5, row_bytes_max * 2, first_chunk + 1, first_chunk, 3, 0};
  for (const std::size_t size : sizes) {
    put(key, value_of(size, 9));
    const std::size_t chunks =
        size <= first_chunk ? 1 : 1 + (size - first_chunk + row_bytes_max - 1) / row_bytes_max;
    EXPECT_EQ(entries().size(), chunks) << size;
    EXPECT_EQ(ok(read_values()), (std::map<std::uint64_t, std::string>{{key, hex(value_of(size, 9))}}));
  }
}

TEST_F(ChunkedValue, IsErasedWithAllItsChunksAndNoOthers) {
  put(key - 1, value_of(5000, 1));
  put(key, value_of(9000, 2));
  put(key + 1, value_of(5000, 3));
  ok(storage::erase_chunked(txn(), table(), key));
  EXPECT_EQ(ok(read_values()), (std::map<std::uint64_t, std::string>{{key - 1, hex(value_of(5000, 1))},
                                                                     {key + 1, hex(value_of(5000, 3))}}));
  EXPECT_EQ(entries().size(), 6U);
  EXPECT_THAT(storage::erase_chunked(txn(), table(), key), succeeds()) << "none is no error";
}

TEST_F(ChunkedValue, IsDamagedWithoutAnyOneOfItsChunks) {
  for (const bool last_in_table : {true, false}) {
    for (std::size_t missing = 0; missing < 4; ++missing) {
      put(key, value_of(first_chunk + 3 * row_bytes_max));
      if (!last_in_table) put(key + 1, value_of(first_chunk + row_bytes_max));
      ASSERT_THAT(read_values(), succeeds());
      erase_entry(entries()[missing]);
      EXPECT_THAT(read_values(), fails_with(errc::damaged))
          << missing << (last_in_table ? ", at the end" : "");
      for (const auto& e : entries()) erase_entry(e);
    }
  }
}

TEST_F(ChunkedValue, IsDamagedByAChunkTooMany) {
  put(key, value_of(row_bytes_max));
  auto surplus = entries().back();
  ASSERT_EQ(surplus.key[15], std::byte{1});
  surplus.key[15] = std::byte{2};
  ok(txn().put(table(), surplus.key, surplus.value));
  EXPECT_THAT(read_values(), fails_with(errc::damaged));
}

TEST_F(ChunkedValue, IsDamagedByAnyFlippedBitOutsideItsPadding) {
  constexpr std::size_t size = first_chunk + 45;  // three bytes of padding
  put(key, value_of(size));
  const auto sound = ok(read_values());
  for (const auto& e : entries()) {
    const bool last = e.key[15] == std::byte{1};
    for (std::size_t bit = 0; bit < e.value.size() * 8; ++bit) {
      auto flipped = e.value;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      ok(txn().put(table(), e.key, flipped));
      if (last && bit / 8 >= 45) {
        EXPECT_THAT(read_values(), succeeds()) << "padding carries no meaning";
      } else {
        EXPECT_THAT(read_values(), fails_with(errc::damaged)) << "byte " << bit / 8 << ", bit " << bit % 8;
      }
    }
    for (std::size_t size_now = 0; size_now < e.value.size(); ++size_now) {
      if (last && size_now >= 45) continue;
      ok(txn().put(table(), e.key, storage::bytes{e.value}.first(size_now)));
      EXPECT_THAT(read_values(), fails_with(errc::damaged)) << "cut to " << size_now;
    }
    ok(txn().put(table(), e.key, e.value));
  }
  EXPECT_EQ(ok(read_values()), sound);
}

TEST_F(ChunkedValue, IsBoundToItsKey) {
  put(key, value_of(100));
  const auto original = entries()[0];
  auto moved = original;
  moved.key[7] ^= std::byte{1};
  erase_entry(original);
  ok(txn().put(table(), moved.key, moved.value));
  EXPECT_THAT(read_values(), fails_with(errc::damaged)) << "a value of one object is not another's";
}

TEST_F(ChunkedValue, IsDamagedUnderAKeyOfTheWrongSize) {
  for (const std::size_t size : {1U, 8U, 15U, 17U, 32U}) {
    const std::vector<std::byte> odd(size, std::byte{0xff});
    put(key, value_of(100));
    ok(txn().put(table(), odd, value_of(64)));
    EXPECT_THAT(read_values(), fails_with(errc::damaged)) << size;
    EXPECT_TRUE(ok(txn().erase(table(), odd)));
    EXPECT_THAT(read_values(), succeeds());
  }
}

TEST_F(ChunkedValue, IsDamagedWhenItClaimsAnImpossibleSize) {
  put(key, value_of(100));
  auto e = entries()[0];
  for (const std::uint64_t size : {(std::uint64_t{1} << 30) + 1, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    std::memcpy(e.value.data(), &size, sizeof size);
    ok(txn().put(table(), e.key, e.value));
    EXPECT_THAT(read_values(), fails_with(errc::damaged))
        << "and nothing of that size is allocated: " << size;
  }
}

TEST_F(ChunkedValue, ReadsAnEmptyTableAsNoValues) {
  EXPECT_EQ(ok(read_values()).size(), 0U);
}

}  // namespace
}  // namespace levada::test
