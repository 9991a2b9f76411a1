#include "storage/sealed_batch.hpp"

#include <cstring>
#include <memory>
#include <vector>

#include "storage_testing.hpp"

namespace levada::test {
namespace {

using storage::batch_header;
using storage::batch_key;
using storage::batch_run;
using storage::batch_view;
using storage::parse_batch;

constexpr batch_key somewhere{0x01020304, 0x05, 0x0607};

/// A batch of two runs, with its checksum.
std::vector<std::byte> two_runs(const batch_key& key) {
  batch_header header{};
  header.end_offset = key.base_offset + 5;
  header.sequence_last = 0x1112;
  header.time_max = 0x2122;
  header.count = 4;
  header.runs = 2;
  header.records_size = header.stored_size = 24;
  header.epoch = 0x31;
  const batch_run runs[] = {{0x1110, 0x2120, 0, 3, 16, 0}, {0x1112, 0x2121, 4, 1, 8, 0}};
  std::vector<std::byte> value(sizeof header + sizeof runs + 24);
  std::memcpy(value.data(), &header, sizeof header);
  std::memcpy(value.data() + sizeof header, runs, sizeof runs);
  std::memcpy(value.data() + sizeof header + sizeof runs, "records of sixteen bytes", 24);
  const std::uint64_t checksum = storage::batch_checksum(key, value);
  std::memcpy(value.data(), &checksum, sizeof checksum);
  return value;
}

/// Parses a copy that ends where its memory ends, so that a read beyond it does not go unnoticed under ASan.
bool parses(const batch_key& key, const std::vector<std::byte>& value) {
  const auto copy = std::make_unique<std::byte[]>(value.size());
  if (!value.empty()) std::memcpy(copy.get(), value.data(), value.size());
  batch_view batch;
  if (!parse_batch(key, {copy.get(), value.size()}, batch)) return false;
  // What it answers lies within the value.
  EXPECT_EQ(batch.value.size(), value.size());
  EXPECT_GE(reinterpret_cast<const std::byte*>(batch.runs.data()), copy.get());
  EXPECT_LE(reinterpret_cast<const std::byte*>(batch.runs.data() + batch.runs.size()), batch.stored.data());
  EXPECT_LE(batch.stored.data() + batch.stored.size(), copy.get() + value.size());
  (void)storage::verify_batch(batch);
  return true;
}

// What stores on disk hold: these bytes never change.
TEST(SealedBatch, HasTheBytesOfTheFormat) {
  EXPECT_EQ(hex(two_runs(somewhere)),
            "9546a2410120676b"  // checksum
            "0c06000000000000"  // end offset
            "1211000000000000"  // sequence of the last record
            "2221000000000000"  // largest time
            "04000000"          // records
            "02000000"          // runs
            "18000000"          // bytes of records
            "18000000"          // bytes as stored
            "31000000"          // epoch
            "00"                // codec
            "000000"
            "1011000000000000"  // sequence of the first run
            "2021000000000000"  // its time
            "00000000"          // its offset
            "03000000"          // its records
            "10000000"          // their bytes
            "00000000"
            "1211000000000000"
            "2121000000000000"
            "04000000"
            "01000000"
            "08000000"
            "00000000"
            "7265636f726473206f66207369787465656e206279746573");
}

TEST(SealedBatch, IsSplitIntoHeaderRunsAndRecords) {
  const auto value = two_runs(somewhere);
  batch_view batch;
  ASSERT_TRUE(parse_batch(somewhere, value, batch));
  EXPECT_EQ(batch.key, somewhere);
  EXPECT_EQ(batch.value.data(), value.data());
  EXPECT_EQ(batch.header.end_offset, somewhere.base_offset + 5);
  ASSERT_EQ(batch.runs.size(), 2U);
  EXPECT_EQ(batch.runs[0].sequence, 0x1110U);
  EXPECT_EQ(batch.runs[1].offset_delta, 4U);
  EXPECT_EQ(hex(batch.stored), hex(as_bytes("records of sixteen bytes")));
  EXPECT_TRUE(storage::verify_batch(batch));
}

TEST(SealedBatch, MayEndWithPaddingToTheNextMultipleOfEight) {
  auto value = two_runs(somewhere);
  for (std::size_t padding = 1; padding < 8; ++padding) {
    value.push_back(std::byte{0});
    batch_view batch;
    ASSERT_TRUE(parse_batch(somewhere, value, batch)) << padding;
    EXPECT_EQ(batch.stored.size(), 24U);
  }
  value.push_back(std::byte{0});
  EXPECT_FALSE(parses(somewhere, value)) << "eight bytes are no padding";
}

TEST(SealedBatch, ChecksumBindsEveryByte) {
  const auto value = two_runs(somewhere);
  batch_view batch;
  for (std::size_t at = 0; at < value.size(); ++at) {
    for (const std::byte flip : {std::byte{1}, std::byte{0x80}, std::byte{0xff}}) {
      auto changed = value;
      changed[at] ^= flip;
      // What cannot be split is refused before that.
      if (parse_batch(somewhere, changed, batch)) {
        EXPECT_FALSE(storage::verify_batch(batch)) << "byte " << at;
      }
    }
  }
}

TEST(SealedBatch, ChecksumBindsThePlace) {
  const auto value = two_runs(somewhere);
  batch_view batch;
  for (int bit = 0; bit < 32; ++bit) {
    for (const batch_key& other :
         {batch_key{somewhere.log ^ (1U << bit), somewhere.partition, somewhere.base_offset},
          batch_key{somewhere.log, somewhere.partition ^ (1U << bit), somewhere.base_offset}}) {
      ASSERT_TRUE(parse_batch(other, value, batch));
      EXPECT_FALSE(storage::verify_batch(batch)) << "log " << other.log << " partition " << other.partition;
    }
  }
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t offset = somewhere.base_offset ^ (std::uint64_t{1} << bit);
    if (parse_batch({somewhere.log, somewhere.partition, offset}, value, batch)) {
      EXPECT_FALSE(storage::verify_batch(batch)) << "offset " << offset;
    }
  }
  // Not merely a sum: log and partition have places of their own.
  ASSERT_TRUE(parse_batch({somewhere.partition, somewhere.log, somewhere.base_offset}, value, batch));
  EXPECT_FALSE(storage::verify_batch(batch));
}

TEST(SealedBatch, IsRefusedWhereverItIsCutOff) {
  const auto value = two_runs(somewhere);
  ASSERT_TRUE(parses(somewhere, value));
  for (std::size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(parses(somewhere, {value.begin(), value.begin() + static_cast<std::ptrdiff_t>(size)}))
        << size << " bytes";
  }
}

/// A batch whose header says something else.
class WrongHeader : public ::testing::Test {
 protected:
  template <class Change>
  static bool parses_with(Change change) {
    auto value = two_runs(somewhere);
    batch_header header{};
    std::memcpy(&header, value.data(), sizeof header);
    change(header);
    std::memcpy(value.data(), &header, sizeof header);
    return parses(somewhere, value);
  }
};

TEST_F(WrongHeader, IsRefusedWithRunsThatDoNotFit) {
  for (const std::uint32_t runs :
       {0U, 3U, 4U, 0x07ff'ffffU, 0x0800'0000U, 0x0800'0002U, 0x7fff'ffffU, 0xffff'fffeU, 0xffff'ffffU}) {
    EXPECT_FALSE(parses_with([runs](batch_header& h) { h.runs = runs; })) << runs;
  }
  EXPECT_FALSE(parses_with([](batch_header& h) { h.runs = 1; })) << "leaves more than padding";
}

TEST_F(WrongHeader, IsRefusedWithRecordsThatDoNotFit) {
  for (const std::uint32_t size : {0U, 8U, 16U, 25U, 26U, 32U, 0x7fff'ffffU, 0xffff'fff8U, 0xffff'ffffU}) {
    EXPECT_FALSE(parses_with([size](batch_header& h) { h.stored_size = size; })) << size;
  }
}

TEST_F(WrongHeader, IsRefusedWithAnEndBeforeItsBeginning) {
  for (const std::uint64_t end : {std::uint64_t{0}, somewhere.base_offset - 1, somewhere.base_offset}) {
    EXPECT_FALSE(parses_with([end](batch_header& h) { h.end_offset = end; })) << end;
  }
}

TEST(SealedBatch, KeysAreOrderedByLogPartitionAndOffset) {
  EXPECT_LT((batch_key{1, 9, 9}), (batch_key{2, 0, 0}));
  EXPECT_LT((batch_key{1, 1, 9}), (batch_key{1, 2, 0}));
  EXPECT_LT((batch_key{1, 1, 1}), (batch_key{1, 1, 2}));
}

}  // namespace
}  // namespace levada::test
