#include "storage/row.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "storage_testing.hpp"

namespace levada::test {
namespace {

using storage::row_bytes_max;
using storage::row_header;
using storage::row_records_max;
using storage::row_view;

constexpr std::uint64_t golden_sequence = 0x0000'0001'0203'0405;

/// Two records of 24 bytes: what stands in them does not matter to a row.
std::vector<std::byte> golden_records() {
  std::vector<std::byte> records(48);
  for (std::size_t i = 0; i < records.size(); ++i) records[i] = static_cast<std::byte>(0xa0 + i);
  return records;
}

row_header golden_header() {
  row_header h{};
  h.log = 0x11;
  h.partition = 3;
  h.base_offset = 0x0000'0000'0001'e240;
  h.time_first = 1'700'000'000'000'001;
  h.time_last = 1'700'000'000'000'999;
  h.count = 2;
  h.epoch = 5;
  h.producer_id = 0x0807'0605'0403'0201;
  h.producer_sequence = 0x0d0c'0b0a;
  h.fragment = 6;
  h.producer_epoch = 0x1f1e;
  h.codec = 7;
  h.continued = 3;
  h.records_size = 48;
  return h;
}

std::vector<std::byte> encoded(row_header h, storage::bytes records, std::uint64_t sequence) {
  h.checksum = storage::row_checksum(h, sequence, storage::records_hash(records));
  std::vector<std::byte> row(sizeof h + records.size());
  std::memcpy(row.data(), &h, sizeof h);
  if (!records.empty()) std::memcpy(row.data() + sizeof h, records.data(), records.size());
  return row;
}

bool parse(std::uint64_t sequence, storage::bytes value, row_view& row) {
  const std::uint64_t key = storage::big_endian(sequence);
  return storage::parse_row(bytes_of(key), value, row);
}

/// Whether a reader would take these bytes for the row of that sequence.
bool accepted(std::uint64_t sequence, storage::bytes value) {
  row_view row;
  return parse(sequence, value, row) && storage::verify_row(row);
}

constexpr const char* golden_row =
    "c923ffd0ea31fc56"                  // checksum
    "1100000003000000"                  // log, partition
    "40e2010000000000"                  // base offset
    "01401e18240a0600e7431e18240a0600"  // first and last time
    "0200000005000000"                  // count, epoch
    "01020304050607080a0b0c0d"          // producer: id, sequence
    "06000000"                          // fragment
    "1e1f0703"                          // producer epoch, codec, continuation
    "30000000"                          // size of the records
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf";  // records

TEST(Row, IsStoredByteForByteAsPinned) {
  EXPECT_EQ(hex(encoded(golden_header(), golden_records(), golden_sequence)), golden_row)
      << "stores that exist could no longer be read";
}

TEST(Row, HasAKeyWhoseByteOrderIsTheNumericOrder) {
  const std::uint64_t key = storage::big_endian(golden_sequence);
  EXPECT_EQ(hex(bytes_of(key)), "0000000102030405");
  std::string before;
  for (unsigned shift = 0; shift < 64; ++shift) {
    const std::uint64_t k = storage::big_endian(std::uint64_t{1} << shift);
    const std::string now = hex(bytes_of(k));
    EXPECT_LT(before, now) << shift;
    before = now;
  }
}

TEST(Row, IsSplitIntoWhatItWasMadeOf) {
  const auto value = encoded(golden_header(), golden_records(), golden_sequence);
  row_view row;
  ASSERT_TRUE(parse(golden_sequence, value, row));
  EXPECT_TRUE(storage::verify_row(row));
  EXPECT_EQ(row.sequence, golden_sequence);
  EXPECT_EQ(row.header.log, 0x11U);
  EXPECT_EQ(row.header.partition, 3U);
  EXPECT_EQ(row.header.base_offset, 0x1e240U);
  EXPECT_EQ(row.header.time_first, 1'700'000'000'000'001);
  EXPECT_EQ(row.header.time_last, 1'700'000'000'000'999);
  EXPECT_EQ(row.header.count, 2U);
  EXPECT_EQ(row.header.epoch, 5U);
  EXPECT_EQ(row.header.producer_id, 0x0807'0605'0403'0201U);
  EXPECT_EQ(row.header.producer_sequence, 0x0d0c'0b0aU);
  EXPECT_EQ(row.header.fragment, 6U);
  EXPECT_EQ(row.header.producer_epoch, 0x1f1eU);
  EXPECT_EQ(row.header.codec, 7U);
  EXPECT_EQ(row.header.continued, 3U);
  EXPECT_EQ(row.header.records_size, 48U);
  EXPECT_EQ(hex(row.records), hex(golden_records()));
}

TEST(Row, IsRefusedAtEveryImpossibleSize) {
  for (std::size_t size = 0; size <= row_bytes_max + 64; ++size) {
    std::vector<std::byte> value(size);
    const std::size_t records = size < sizeof(row_header) ? 0 : size - sizeof(row_header);
    for (const std::size_t claimed : {records, records + 8, records - 8, records + 1, std::size_t{0}}) {
      row_header h{};
      h.records_size = static_cast<std::uint32_t>(claimed);
      if (size > 0) std::memcpy(value.data(), &h, std::min(size, sizeof h));
      const bool possible =
          size >= sizeof h && size <= row_bytes_max && records % 8 == 0 && claimed == records;
      row_view row;
      EXPECT_EQ(parse(1, value, row), possible) << size << " bytes, header tells of " << claimed;
    }
  }
}

TEST(Row, IsRefusedUnderAKeyOfTheWrongSize) {
  const auto value = encoded(golden_header(), golden_records(), golden_sequence);
  for (std::size_t size = 0; size <= 17; ++size) {
    const std::vector<std::byte> key(size);
    row_view row;
    EXPECT_EQ(storage::parse_row(key, value, row), size == 8) << size;
  }
}

TEST(Row, MayBeEmptyOrFilledToTheLastByte) {
  row_header h = golden_header();
  for (const std::size_t size : {std::size_t{0}, row_records_max}) {
    const std::vector<std::byte> records(size, std::byte{1});
    h.records_size = static_cast<std::uint32_t>(size);
    EXPECT_TRUE(accepted(7, encoded(h, records, 7))) << size;
  }
}

TEST(Row, IsRefusedAfterTheFlipOfAnySingleBit) {
  auto value = encoded(golden_header(), golden_records(), golden_sequence);
  ASSERT_TRUE(accepted(golden_sequence, value));
  for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    value[bit / 8] ^= mask;
    EXPECT_FALSE(accepted(golden_sequence, value)) << "bit " << bit % 8 << " of byte " << bit / 8;
    value[bit / 8] ^= mask;
  }
}

TEST(Row, IsBoundToItsPlaceInTheJournal) {
  for (const std::uint64_t sequence : {std::uint64_t{0}, std::uint64_t{1}, golden_sequence}) {
    const auto value = encoded(golden_header(), golden_records(), sequence);
    ASSERT_TRUE(accepted(sequence, value));
    for (unsigned bit = 0; bit < 64; ++bit) {
      EXPECT_FALSE(accepted(sequence ^ (std::uint64_t{1} << bit), value)) << sequence << ", bit " << bit;
    }
    EXPECT_FALSE(accepted(sequence + 1, value));
    EXPECT_FALSE(accepted(sequence - 1, value));
  }
}

}  // namespace
}  // namespace levada::test
