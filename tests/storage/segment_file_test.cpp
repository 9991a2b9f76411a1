#include "storage/segment_file.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <support/file_bytes.hpp>

#include "segment_testing.hpp"
#include "storage/page_check.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::batch_bytes_max;
using storage::segment_file;
using storage::segment_writer;
using ::testing::HasSubstr;

class SegmentFile : public segment_fixture {};

TEST_F(SegmentFile, TellsWhatItIs) {
  auto to = writer(0);
  EXPECT_EQ(to.file(), file());
  const std::uint64_t size = ok(to.finish(true));
  EXPECT_EQ(size, fs::file_size(file()));
  const auto segment = open();
  EXPECT_EQ(segment->identity().format, 1U);
  EXPECT_EQ(segment->identity().id, id);
  EXPECT_EQ(segment->identity().sequence_first, 10U);
  EXPECT_EQ(segment->identity().sequence_last, 99U);
  EXPECT_EQ(segment->file(), file());
  auto empty = reader();
  EXPECT_EQ(ok(empty.first()), std::nullopt);
  EXPECT_EQ(ok(empty.find({1, 0, 0})), std::nullopt);
}

// What stores on disk hold under the key of zeros: these bytes never change.
TEST_F(SegmentFile, HoldsItsIdentityAsTheFormatSays) {
  write({});
  auto env = ok(storage::environment::open(
      file(), {.map_bytes = std::size_t{1} << 20, .read_only = true, .single_file = true}));
  const auto txn = ok(storage::read_transaction::begin(env));
  MDB_dbi table = 0;
  ASSERT_EQ(mdb_dbi_open(txn.get(), nullptr, 0, &table), 0);
  const std::uint64_t zeros[2] = {0, 0};
  EXPECT_EQ(hex(*ok(txn.get(table, bytes_of(zeros)))),
            "6c657673"
            "65676d0a"  // "levsegm\n"
            "01000000"  // format
            "07000000"  // id
            "0a00000000000000"
            "6300000000000000");
}

TEST_F(SegmentFile, HoldsBatchesUnderBigEndianKeys) {
  const auto batch = batch_of({0x01020304, 0x0506, 0x0708}, 0x0709, 96);
  write({batch});
  auto env = ok(storage::environment::open(
      file(), {.map_bytes = std::size_t{1} << 20, .read_only = true, .single_file = true}));
  const auto txn = ok(storage::read_transaction::begin(env));
  MDB_dbi table = 0;
  ASSERT_EQ(mdb_dbi_open(txn.get(), nullptr, 0, &table), 0);
  auto c = ok(storage::cursor::open(txn, table));
  const auto last = ok(c.move(MDB_LAST));
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(hex(last->key), "01020304000005060000000000000708");
  EXPECT_EQ(hex(last->value), hex(batch.value));
}

TEST_F(SegmentFile, TakesSixteenPagesForAFullBatch) {
  constexpr std::size_t full = 100;
  std::vector<known_batch> batches;
  for (std::uint64_t i = 0; i < full; ++i) batches.push_back(batch_of({1, 0, i}, i + 1, batch_bytes_max));
  const std::uint64_t size = write(batches);
  EXPECT_EQ(size, fs::file_size(file()));
  EXPECT_GE(size, full * 16 * page);
  EXPECT_LE(size, (full * 16 + 10) * page) << "the tree itself takes a few";
}

TEST_F(SegmentFile, HoldsBatchesOfAnySize) {
  std::vector<known_batch> batches;
  std::uint64_t offset = 0;
  for (const std::size_t size :
       {batch_overhead, batch_overhead + 8, std::size_t{2008}, std::size_t{2016}, std::size_t{2024},
        std::size_t{2032}, std::size_t{2040}, std::size_t{4072}, std::size_t{4080}, std::size_t{4088},
        batch_bytes_max - 8, batch_bytes_max, batch_bytes_max + 8, std::size_t{100'000}, std::size_t{1} << 20,
        (std::size_t{9} << 20) + 8}) {
    batches.push_back(batch_of({5, 1, offset}, offset + 1, size));
    ++offset;
  }
  write(batches);
  auto r = reader();
  for (const auto& batch : batches) expect_same(ok(r.find(batch.key)), &batch);
}

TEST_F(SegmentFile, TakesMoreThanItWasToldOf) {
  constexpr std::size_t size = std::size_t{12} << 20;
  auto to = writer(0);
  for (std::uint64_t i = 0; i < 13; ++i) {
    const auto place = ok(to.add({5, 1, i}, size));
    std::memset(place.data(), static_cast<int>(i), place.size());
  }
  EXPECT_GT(ok(to.finish(false)), 13 * size);
  EXPECT_THAT(storage::verify_segment_file(file()), succeeds());
}

TEST_F(SegmentFile, HoldsWhatTookSeveralCommitsInAnyOrderOfKeys) {
  std::mt19937 random{5};
  std::vector<known_batch> batches;
  std::size_t sum = 0;
  for (std::uint64_t i = 0; sum < std::size_t{20} << 20; ++i) {
    const std::size_t size = random() % 3 == 0 ? batch_bytes_max : batch_overhead + random() % 3000 / 8 * 8;
    batches.push_back(batch_of({1 + static_cast<std::uint32_t>(i % 3), 0, i * 10}, i * 10 + 10, size));
    sum += size;
  }
  // As a sealer does it: partitions side by side.
  write(batches);
  EXPECT_THAT(storage::verify_segment_file(file()), succeeds());
  EXPECT_LE(fs::file_size(file()), sum * 2);
  std::sort(batches.begin(), batches.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  auto r = reader();
  auto found = ok(r.first());
  for (const auto& batch : batches) {
    expect_same(found, &batch);
    found = ok(r.next());
  }
  expect_same(found, nullptr);
}

TEST_F(SegmentFile, IsRemovedWhereItIsNotFinished) {
  {
    auto to = writer(1000);
    add(to, batch_of({1, 0, 0}, 1, 96));
    EXPECT_TRUE(fs::exists(file()));
  }
  EXPECT_FALSE(fs::exists(file()));
  {
    auto to = writer(std::size_t{20} << 20);
    for (std::uint64_t i = 0; i < 200; ++i) add(to, batch_of({1, 0, i}, i + 1, batch_bytes_max));
    auto moved = std::move(to);
    EXPECT_EQ(moved.file(), file());
  }
  EXPECT_TRUE(fs::is_empty(directory_.path())) << "also after commits, and no lock file either";
}

TEST_F(SegmentFile, IsKeptWhenAFinishedWriterIsMovedOrDestroyed) {
  const auto batch = batch_of({1, 0, 0}, 1, 96);
  {
    auto first = writer(1000);
    auto to = std::move(first);
    add(to, batch);
    ok(to.finish(false));
  }
  EXPECT_TRUE(fs::exists(file()));
  expect_same(ok(reader().first()), &batch);
}

TEST_F(SegmentFile, ReplacesAnUnfinishedOneOfItsName) {
  write_file(file(), "what a crash left");
  const auto batch = batch_of({1, 0, 0}, 1, 96);
  write({batch});
  expect_same(ok(reader().first()), &batch);
}

TEST_F(SegmentFile, IsNotWrittenWhereThereIsNoDirectory) {
  const auto nowhere = directory_ / "missing" / "1.seg";
  const auto created = segment_writer::create(nowhere, {.id = 1}, 100);
  ASSERT_FALSE(created.has_value());
  EXPECT_THAT(created.error().message(), HasSubstr(nowhere.string()));
}

TEST_F(SegmentFile, TakesNoBatchTwice) {
  auto to = writer(1000);
  add(to, batch_of({1, 0, 0}, 1, 96));
  const auto again = to.add({1, 0, 0}, 96);
  ASSERT_FALSE(again.has_value());
  EXPECT_THAT(again.error().message(), HasSubstr(file().string()));
}

TEST_F(SegmentFile, IsNullWhereItIsMissing) {
  EXPECT_EQ(ok(segment_file::open(file(), id)), nullptr);
}

TEST_F(SegmentFile, IsRefusedWhereItIsAnotherOne) {
  write({batch_of({1, 0, 0}, 1, 96)});
  const auto opened = segment_file::open(file(), id + 1);
  ASSERT_THAT(opened, fails_with(errc::damaged));
  EXPECT_THAT(opened.error().message(), HasSubstr("it is segment 7, 8 was expected"));
}

}  // namespace
}  // namespace levada::test
