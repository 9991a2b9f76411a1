#include "log/row_encoder.hpp"

#include <string>
#include <vector>

#include "log_testing.hpp"

namespace levada::log::test {
namespace {

using storage::continuation;
using storage::row_records_max;
using storage::row_view;

/// A value whose record takes `size` bytes.
std::string value_for_record_of(std::size_t size, char fill = 'x') {
  return std::string(size - sizeof(detail::record_header), fill);
}

row_view parsed(row_encoder& rows, std::size_t i, const row_encoder::stamp& at) {
  const auto value = rows.stamped_row(i, at);
  const std::uint64_t key = storage::big_endian(at.sequence + i);
  row_view row;
  EXPECT_TRUE(storage::parse_row(bytes_of(key), value, row)) << "row " << i;
  EXPECT_TRUE(storage::verify_row(row)) << "row " << i;
  return row;
}

constexpr row_encoder::stamp somewhere{100, 50, 1'700'000'000'000'000, 3};

// What stores on disk hold: these bytes never change.
TEST(RowEncoder, WritesTheBytesOfTheFormat) {
  row_encoder rows{0x0a, 0x0b};
  rows.add({.key = "k", .value = "v1", .has_key = true});
  rows.add(value_of("second"));
  rows.finish();
  ASSERT_EQ(rows.rows(), 1U);
  EXPECT_EQ(hex(rows.stamped_row(0, {0x0102, 0x0304, 0x0506, 0x0708})),
            "430e164e7f2b13d0"  // checksum
            "0a000000"          // log
            "0b000000"          // partition
            "0403000000000000"  // base offset
            "0605000000000000"  // time of the first record
            "0605000000000000"  // largest time
            "02000000"          // records
            "08070000"          // epoch
            "0000000000000000"  // producer
            "00000000"          // its sequence
            "00000000"          // fragment
            "0000"              // epoch of the producer
            "00"                // codec
            "00"                // continuation
            "30000000"          // bytes of records
            "130000000100010000000000000000007631"
            "6b"
            "0000000000"
            "160000000000000000000000000000007365636f6e64"
            "0000");
}

TEST(RowEncoder, StampsEveryRowWithItsPlace) {
  row_encoder rows{7, 2};
  const std::string value = value_for_record_of(row_records_max / 2);
  for (int i = 0; i < 7; ++i) rows.add(value_of(value));
  rows.finish();
  ASSERT_EQ(rows.rows(), 4U);
  EXPECT_EQ(rows.records(), 7U);
  EXPECT_EQ(rows.log(), 7U);
  EXPECT_EQ(rows.partition(), 2U);
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const row_view row = parsed(rows, i, somewhere);
    EXPECT_EQ(row.header.log, 7U);
    EXPECT_EQ(row.header.partition, 2U);
    EXPECT_EQ(row.header.base_offset, 50 + 2 * i);
    EXPECT_EQ(row.header.count, i < 3 ? 2U : 1U);
    EXPECT_EQ(row.header.count, rows.records_in(i));
    EXPECT_EQ(row.header.time_first, somewhere.time);
    EXPECT_EQ(row.header.time_last, somewhere.time);
    EXPECT_EQ(row.header.epoch, 3U);
    EXPECT_EQ(row.header.continued, static_cast<std::uint8_t>(continuation::whole));
    EXPECT_EQ(row.header.fragment, 0U);
  }
}

TEST(RowEncoder, MayStampTheSameRowsAgainForAnotherPlace) {
  row_encoder rows{7, 2};
  for (int i = 0; i < 5; ++i) rows.add(value_of(std::string(900, 'v')));
  rows.finish();
  const std::string once = hex(rows.stamped_row(1, somewhere));
  parsed(rows, 1, {200, 90, 1, 4});
  EXPECT_NE(hex(rows.stamped_row(1, {200, 90, 1, 4})), once);
  EXPECT_EQ(hex(rows.stamped_row(1, somewhere)), once);
}

TEST(RowEncoder, FillsARowToItsLastByte) {
  row_encoder rows{1, 0};
  rows.add(value_of(value_for_record_of(row_records_max - 24)));
  rows.add(value_of("12345678"));  // takes 24 bytes
  rows.finish();
  ASSERT_EQ(rows.rows(), 1U);
  EXPECT_EQ(rows.stamped_row(0, somewhere).size(), storage::row_bytes_max);
  EXPECT_EQ(rows.bytes(), storage::row_bytes_max);
  rows.clear();
  rows.add(value_of(value_for_record_of(row_records_max - 24)));
  rows.add(value_of("123456789"));  // takes 32
  rows.finish();
  EXPECT_EQ(rows.rows(), 2U);
}

TEST(RowEncoder, ContinuesARecordLargerThanARowThroughRowsOfItsOwn) {
  row_encoder rows{1, 0};
  rows.add(value_of("before"));
  std::string large = value_for_record_of(2 * row_records_max + 8);
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 / 3);
  rows.add(value_of(large));
  rows.add(value_of("after"));
  rows.finish();
  ASSERT_EQ(rows.rows(), 5U);
  EXPECT_EQ(rows.records(), 3U);
  struct expected {
    continuation continued;
    std::uint32_t fragment;
    std::uint32_t count;
    std::uint64_t base;
    std::size_t size;
  };
  const std::vector<expected> all{{continuation::whole, 0, 1, 50, 24},
                                  {continuation::first, 0, 1, 51, row_records_max},
                                  {continuation::middle, 1, 0, 51, row_records_max},
                                  {continuation::last, 2, 0, 51, 8},
                                  {continuation::whole, 0, 1, 52, 24}};
  std::string whole;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const row_view row = parsed(rows, i, somewhere);
    EXPECT_EQ(row.header.continued, static_cast<std::uint8_t>(all[i].continued)) << "row " << i;
    EXPECT_EQ(row.header.fragment, all[i].fragment) << "row " << i;
    EXPECT_EQ(row.header.count, all[i].count) << "row " << i;
    EXPECT_EQ(rows.records_in(i), all[i].count) << "row " << i;
    EXPECT_EQ(row.header.base_offset, all[i].base) << "row " << i;
    EXPECT_EQ(row.records.size(), all[i].size) << "row " << i;
    if (row.header.continued != 0) {
      whole.append(reinterpret_cast<const char*>(row.records.data()), row.records.size());
    }
  }
  EXPECT_EQ(whole.substr(sizeof(detail::record_header)), large);
}

TEST(RowEncoder, ContinuesOnlyWhatDoesNotFitIntoARow) {
  for (const std::size_t size : {row_records_max - 8, row_records_max, row_records_max + 8}) {
    row_encoder rows{1, 0};
    rows.add(value_of(value_for_record_of(size)));
    rows.finish();
    const bool large = size > row_records_max;
    EXPECT_EQ(rows.rows(), large ? 2U : 1U) << size;
    EXPECT_EQ(parsed(rows, 0, somewhere).header.continued != 0, large) << size;
  }
}

TEST(RowEncoder, EndsALargeRecordWithItsLastFullRow) {
  row_encoder rows{1, 0};
  rows.add(value_of(value_for_record_of(2 * row_records_max)));
  rows.finish();
  ASSERT_EQ(rows.rows(), 2U);
  EXPECT_EQ(parsed(rows, 1, somewhere).header.continued, static_cast<std::uint8_t>(continuation::last));
}

TEST(RowEncoder, StartsAnewAfterClear) {
  row_encoder rows{1, 0};
  rows.add(value_of("old"));
  rows.clear();
  EXPECT_EQ(rows.records(), 0U);
  EXPECT_EQ(rows.rows(), 0U);
  EXPECT_EQ(rows.bytes(), 0U);
  rows.finish();
  rows.add(value_of("new"));
  rows.finish();
  rows.finish();
  ASSERT_EQ(rows.rows(), 1U);
  const row_view row = parsed(rows, 0, somewhere);
  EXPECT_EQ(row.header.base_offset, 50U);
  EXPECT_EQ(row.header.count, 1U);
}

}  // namespace
}  // namespace levada::log::test
