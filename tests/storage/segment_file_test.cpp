#include "storage/segment_file.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "storage/page_check.hpp"
#include "storage_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;

using storage::batch_bytes_max;
using storage::batch_header;
using storage::batch_key;
using storage::batch_run;
using storage::batch_view;
using storage::segment_file;
using storage::segment_reader;
using storage::segment_writer;
using ::testing::HasSubstr;

constexpr std::size_t page = 4096;
constexpr std::size_t batch_overhead = sizeof(batch_header) + sizeof(batch_run);

/// A batch as a test knows it.
struct known_batch {
  batch_key key;
  std::uint64_t end_offset = 0;
  std::vector<std::byte> value;
};

/// A batch of one run that takes `size` bytes altogether, a multiple of 8.
known_batch batch_of(const batch_key& key, std::uint64_t end_offset, std::size_t size) {
  known_batch made{key, end_offset, std::vector<std::byte>(size)};
  batch_header header{};
  header.end_offset = end_offset;
  header.count = static_cast<std::uint32_t>(end_offset - key.base_offset);
  header.runs = 1;
  header.records_size = header.stored_size = static_cast<std::uint32_t>(size - batch_overhead);
  const batch_run run{1, 2, 0, header.count, header.records_size, 0};
  std::byte* const to = made.value.data();
  std::memcpy(to + sizeof header, &run, sizeof run);
  for (std::size_t i = batch_overhead; i < size; ++i) {
    to[i] = static_cast<std::byte>(i * 7 + key.base_offset * 31 + key.partition * 5 + i / 251);
  }
  std::memcpy(to, &header, sizeof header);
  header.checksum = storage::batch_checksum(key, made.value);
  std::memcpy(to, &header.checksum, sizeof header.checksum);
  return made;
}

std::string read_bytes(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}
void write_bytes(const fs::path& file, const std::string& bytes) {
  std::ofstream{file, std::ios::binary | std::ios::trunc} << bytes;
}

class SegmentFile : public ::testing::Test {
 protected:
  static constexpr std::uint32_t id = 7;

  [[nodiscard]] fs::path file() const { return directory_ / "00000007.seg"; }
  [[nodiscard]] segment_writer writer(std::size_t bytes_max) const {
    return ok(
        segment_writer::create(file(), {.id = id, .sequence_first = 10, .sequence_last = 99}, bytes_max));
  }
  static void add(segment_writer& to, const known_batch& batch) {
    const auto place = ok(to.add(batch.key, batch.value.size()));
    ASSERT_EQ(place.size(), batch.value.size());
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(place.data()) % 8, 0U);
    std::memcpy(place.data(), batch.value.data(), batch.value.size());
  }
  /// Writes a segment of these batches, in the order in which they stand; returns the file's size.
  std::uint64_t write(const std::vector<known_batch>& batches) const {
    std::size_t sum = 0;
    for (const auto& b : batches) sum += b.value.size();
    auto to = writer(sum);
    for (const auto& b : batches) add(to, b);
    return ok(to.finish(false));
  }
  [[nodiscard]] std::shared_ptr<const segment_file> open() const {
    auto opened = ok(segment_file::open(file(), id));
    EXPECT_TRUE(opened);
    return opened;
  }
  [[nodiscard]] segment_reader reader() const { return ok(segment_reader::open(open())); }

  static void expect_same(const std::optional<batch_view>& found, const known_batch* expected) {
    ASSERT_EQ(found.has_value(), expected != nullptr);
    if (!found) return;
    ASSERT_EQ(found->key, expected->key);
    ASSERT_EQ(found->header.end_offset, expected->end_offset);
    ASSERT_TRUE(storage::verify_batch(*found));
    ASSERT_EQ(found->value.size(), expected->value.size());
    ASSERT_TRUE(std::equal(found->value.begin(), found->value.end(), expected->value.begin()));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(found->value.data()) % 8, 0U);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(found->runs.data()) % 8, 0U);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(found->stored.data()) % 8, 0U);
  }

  temporary_directory directory_;
};

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

/// Two partitions with gaps, among others.
class FoundBatches : public SegmentFile {
 protected:
  FoundBatches() { write(batches_); }
  [[nodiscard]] const known_batch* at(std::size_t i) const { return &batches_[i]; }

  const std::vector<known_batch> batches_{
      batch_of({1, 0, 10}, 20, 200),    batch_of({1, 0, 20}, 25, 5000),
      batch_of({1, 0, 40}, 41, 96),     batch_of({1, 1, 5}, 7, 3000),
      batch_of({2, 0, 0}, 100, 1000),   batch_of({2, 3, 7}, 8, batch_bytes_max),
      batch_of({300, 256, 1}, 2, 2016),
  };
};

TEST_F(FoundBatches, AreFoundExactly) {
  auto r = reader();
  for (const auto& batch : batches_) expect_same(ok(r.find(batch.key)), &batch);
}

TEST_F(FoundBatches, AreFoundByEveryOffsetWithin) {
  auto r = reader();
  for (const auto& batch : batches_) {
    for (std::uint64_t o = batch.key.base_offset; o < batch.end_offset; ++o) {
      expect_same(ok(r.find({batch.key.log, batch.key.partition, o})), &batch);
    }
  }
}

TEST_F(FoundBatches, AreTheNextOnesInAGapAndBeforeTheFirst) {
  auto r = reader();
  expect_same(ok(r.find({1, 0, 0})), at(0));
  expect_same(ok(r.find({1, 0, 9})), at(0));
  expect_same(ok(r.find({1, 0, 25})), at(2));
  expect_same(ok(r.find({1, 0, 39})), at(2));
  expect_same(ok(r.find({1, 1, 0})), at(3));
  expect_same(ok(r.find({2, 3, 0})), at(5));
}

TEST_F(FoundBatches, AreNoneBehindTheLastOfAPartition) {
  auto r = reader();
  expect_same(ok(r.find({1, 0, 41})), nullptr);
  expect_same(ok(r.find({1, 1, 7})), nullptr);
  expect_same(ok(r.find({2, 0, UINT64_MAX})), nullptr);
  expect_same(ok(r.find({300, 256, 2})), nullptr);
  expect_same(ok(r.find({1, 0, 40})), at(2));
}

TEST_F(FoundBatches, AreNoneInAPartitionThatIsNotThere) {
  auto r = reader();
  for (const batch_key& key : {batch_key{1, 2, 0}, batch_key{2, 1, 3}, batch_key{2, 2, 0}, batch_key{3, 0, 0},
                               batch_key{UINT32_MAX, UINT32_MAX, UINT64_MAX}}) {
    expect_same(ok(r.find(key)), nullptr);
  }
}

TEST_F(FoundBatches, FollowOneAnotherUntilTheirPartitionEnds) {
  auto r = reader();
  expect_same(ok(r.find({1, 0, 12})), at(0));
  expect_same(ok(r.next_in_partition()), at(1));
  expect_same(ok(r.next_in_partition()), at(2));
  expect_same(ok(r.next_in_partition()), nullptr);
  expect_same(ok(r.find({300, 256, 0})), at(6));
  expect_same(ok(r.next_in_partition()), nullptr);  // and the segment ends with it
  expect_same(ok(r.next_in_partition()), nullptr);
  expect_same(ok(r.find({1, 0, 0})), at(0));
}

TEST_F(FoundBatches, AreWalkedInTheOrderOfKeys) {
  auto r = reader();
  for (int twice = 0; twice < 2; ++twice) {
    expect_same(ok(r.first()), at(0));
    for (std::size_t i = 1; i < batches_.size(); ++i) expect_same(ok(r.next()), at(i));
    expect_same(ok(r.next()), nullptr);
    expect_same(ok(r.next()), nullptr);
  }
}

TEST_F(FoundBatches, StayValidWhenTheFileIsDeletedAsLongAsItIsHeld) {
  std::vector<batch_view> views;
  std::shared_ptr<const segment_file> held = open();
  {
    auto r = ok(segment_reader::open(held));
    for (auto b = ok(r.first()); b; b = ok(r.next())) views.push_back(*b);
  }
  fs::remove(file());
  EXPECT_EQ(ok(segment_file::open(file(), id)), nullptr);
  ASSERT_EQ(views.size(), batches_.size());
  for (std::size_t i = 0; i < views.size(); ++i) expect_same(views[i], at(i));
  auto late = ok(segment_reader::open(std::exchange(held, nullptr)));
  expect_same(ok(late.find({2, 3, 7})), at(5));
  for (std::size_t i = 0; i < views.size(); ++i) expect_same(views[i], at(i));
}

TEST_F(FoundBatches, AreReadByManyReadersOfOneFile) {
  const auto segment = open();
  auto a = ok(segment_reader::open(segment));
  auto b = ok(segment_reader::open(segment));
  expect_same(ok(a.first()), at(0));
  expect_same(ok(b.find({2, 0, 5})), at(4));
  expect_same(ok(a.next()), at(1));
  const auto again = open();
  auto c = ok(segment_reader::open(again));
  expect_same(ok(c.first()), at(0));
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

class RandomSegment : public SegmentFile, public ::testing::WithParamInterface<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, RandomSegment, ::testing::Range(1U, 7U));

TEST_P(RandomSegment, FindsWhatAModelFinds) {
  std::mt19937 random{GetParam()};
  const auto below = [&random](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  std::vector<known_batch> batches;
  for (std::uint32_t log = 1; log < 4; ++log) {
    for (std::uint32_t partition = 0; partition < 3; ++partition) {
      std::uint64_t offset = below(2) * 5;
      for (std::uint32_t i = below(3) == 0 ? 0 : below(120); i > 0; --i) {
        offset += below(3) == 0 ? below(8) : 0;
        const std::uint64_t end = offset + 1 + below(6);
        const std::size_t size = below(10) == 0 ? below(70'000) : below(600);
        batches.push_back(batch_of({log, partition, offset}, end, batch_overhead + size / 8 * 8));
        offset = end;
      }
    }
  }
  auto shuffled = batches;
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  write(shuffled);
  auto r = reader();
  const known_batch* model = nullptr;  // where the reader stands
  for (int i = 0; i < 5000; ++i) {
    if (model != nullptr && below(3) == 0) {
      const known_batch* const next = model + 1;
      const bool same = next != batches.data() + batches.size() && next->key.log == model->key.log &&
                        next->key.partition == model->key.partition;
      model = same ? next : nullptr;
      expect_same(ok(r.next_in_partition()), model);
    } else {
      const batch_key key{below(5), below(4), below(450)};
      if (key.log == 0) continue;  // the segment's own
      const auto found = std::find_if(batches.begin(), batches.end(), [&](const known_batch& b) {
        return b.key.log == key.log && b.key.partition == key.partition && b.end_offset > key.base_offset;
      });
      model = found == batches.end() ? nullptr : &*found;
      expect_same(ok(r.find(key)), model);
    }
    if (HasFatalFailure()) FAIL() << "step " << i;
  }
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
  write_bytes(file(), "what a crash left");
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

/// Files of LMDB's that are no segments.
class ForeignFile : public SegmentFile {
 protected:
  void write_entry(std::string_view key, std::string_view value) const {
    auto env = ok(storage::environment::open(
        file(), {.map_bytes = std::size_t{1} << 20, .no_sync = true, .single_file = true}));
    auto txn = ok(storage::write_transaction::begin(env));
    MDB_dbi table = 0;
    ASSERT_EQ(mdb_dbi_open(txn.get(), nullptr, 0, &table), 0);
    if (!key.empty()) ok(txn.put(table, as_bytes(key), as_bytes(value)));
    ASSERT_EQ(txn.commit(), 0);
  }
  static std::string identity(std::string magic, std::uint32_t format) {
    magic.append(reinterpret_cast<const char*>(&format), sizeof format);
    magic.append(reinterpret_cast<const char*>(&id), sizeof id);
    return magic + std::string(16, '\0');
  }
  const std::string zeros_ = std::string(16, '\0');
};

TEST_F(ForeignFile, IsRefusedWithoutAnIdentity) {
  write_entry("another key", "a value");
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(ForeignFile, IsRefusedWithoutAnyEntry) {
  write_entry("", "");
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(ForeignFile, IsRefusedWithTheWrongMagic) {
  write_entry(zeros_, identity("levsegn\n", 1));
  const auto opened = segment_file::open(file(), id);
  ASSERT_THAT(opened, fails_with(errc::damaged));
  EXPECT_THAT(opened.error().message(), HasSubstr("it is no segment"));
}

TEST_F(ForeignFile, IsRefusedWithAnIdentityOfTheWrongSize) {
  write_entry(zeros_, identity("levsegm\n", 1) + "x");
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(ForeignFile, IsRefusedInAnUnknownFormat) {
  write_entry(zeros_, identity("levsegm\n", 2));
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::unsupported_format));
}

TEST_F(ForeignFile, IsAcceptedWithNothingButAnIdentity) {
  write_entry(zeros_, identity("levsegm\n", 1));
  EXPECT_THAT(segment_file::open(file(), id), succeeds());
}

TEST_F(ForeignFile, IsRefusedAsTheMainFileOfAStore) {
  const auto main = directory_ / "main";
  fs::create_directory(main);
  ok(storage::main_environment::create(main, {.map_bytes = std::size_t{1} << 20, .no_sync = true}));
  fs::copy_file(main / "data.mdb", file());
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(ForeignFile, IsRefusedWhereItIsEmptyOrNothingThatLmdbWrote) {
  for (const std::size_t size : {0U, 1U, 100U, 4096U, 8192U, 100'000U}) {
    write_bytes(file(), std::string(size, '\0'));
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << size;
    write_bytes(file(), std::string(size, 'x'));
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << size;
  }
}

TEST_F(ForeignFile, IsRefusedWhereItIsADirectory) {
  fs::create_directory(file());
  EXPECT_FALSE(segment_file::open(file(), id).has_value());
}

TEST_F(ForeignFile, WithAKeyOfTheWrongSizeIsReadWithoutHarm) {
  write_entry(zeros_, identity("levsegm\n", 1));
  write_entry("short", "a value that is no batch");
  auto r = reader();
  EXPECT_THAT(r.first(), fails_with(errc::damaged));
  const auto found = r.find({0x73686f72, 0, 0});
  EXPECT_TRUE(!found.has_value() || !found->has_value());
}

/// A small segment of some depth: small batches within pages, large ones on pages of their own.
class DamagedSegment : public SegmentFile {
 protected:
  DamagedSegment() {
    for (std::uint32_t partition = 0; partition < 3; ++partition) {
      for (std::uint64_t i = 0; i < 90; ++i) {
        const std::size_t size = i % 30 == 7 ? 5000 : batch_overhead + i % 11 * 40;
        batches_.push_back(batch_of({2, partition, i * 4}, i * 4 + 3, size));
      }
    }
    write(batches_);
    whole_ = read_bytes(file());
  }

  void patch(std::size_t at, std::string_view bytes) const {
    std::fstream out{file(), std::ios::binary | std::ios::in | std::ios::out};
    out.seekp(static_cast<std::streamoff>(at))
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  [[nodiscard]] const known_batch* known(const batch_key& key) const {
    const auto found = std::lower_bound(batches_.begin(), batches_.end(), key,
                                        [](const known_batch& b, const batch_key& k) { return b.key < k; });
    return found != batches_.end() && found->key == key ? &*found : nullptr;
  }
  /// A batch with the right checksum is one that was written.
  void expect_genuine(const batch_view& batch) const {
    if (!storage::verify_batch(batch)) return;
    const auto* const original = known(batch.key);
    ASSERT_NE(original, nullptr) << "offset " << batch.key.base_offset;
    ASSERT_TRUE(
        std::equal(batch.value.begin(), batch.value.end(), original->value.begin(), original->value.end()));
  }
  /// Opens and reads everything that can be read. That this process lives on is half of the proof.
  void open_and_read() {
    auto opened = segment_file::open(file(), id);
    if (!opened) {
      ++refused_;
      EXPECT_TRUE(opened.error().code() == errc::damaged || opened.error().code() == errc::unsupported_format)
          << opened.error().message();
      return;
    }
    ASSERT_TRUE(*opened);
    ++accepted_;
    auto r = ok(segment_reader::open(*opened));
    std::size_t walked = 0;
    for (auto b = r.first();; b = r.next()) {
      ASSERT_LE(++walked, 2 * batches_.size()) << "the walk ends";
      if (!b) {
        EXPECT_EQ(b.error().code(), errc::damaged);
        continue;
      }
      if (!*b) break;
      expect_genuine(**b);
    }
    for (std::size_t i = 0; i < batches_.size(); i += 3) {
      const auto& original = batches_[i];
      auto b = r.find({original.key.log, original.key.partition, original.key.base_offset + i % 2});
      if (!b) {
        EXPECT_EQ(b.error().code(), errc::damaged);
        continue;
      }
      if (*b) expect_genuine(**b);
      if (!*b || (storage::verify_batch(**b) && (*b)->key != original.key)) ++passed_over_;
    }
  }

  std::vector<known_batch> batches_;
  std::string whole_;
  int refused_ = 0;
  int accepted_ = 0;
  int passed_over_ = 0;  ///< batches that are not found, though nothing is said to be damaged
};

TEST_F(DamagedSegment, IsSoundAtFirst) {
  open_and_read();
  EXPECT_EQ(accepted_, 1);
  EXPECT_EQ(passed_over_, 0);
  EXPECT_GT(whole_.size(), 20 * page);
}

TEST_F(DamagedSegment, IsRefusedWhereverItIsCutOff) {
  for (std::size_t size = 0; size < whole_.size(); size += size % page == 0 ? 1 : page - 1) {
    fs::resize_file(file(), whole_.size());
    fs::resize_file(file(), size);
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << size;
    write_bytes(file(), whole_);
    fs::resize_file(file(), size + page / 2 < whole_.size() ? size + page / 2 : size);
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << size + page / 2;
    write_bytes(file(), whole_);
  }
  fs::resize_file(file(), whole_.size() - 1);
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(DamagedSegment, IsReadWithAnythingBehindItsEnd) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{100}, page, page + 1}) {
    write_bytes(file(), whole_ + std::string(size, 'x'));
    open_and_read();
  }
  EXPECT_EQ(accepted_, 4);
  EXPECT_EQ(passed_over_, 0);
}

class DamagedMetaPages : public DamagedSegment, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Bits, DamagedMetaPages, ::testing::Range(0, 8));

TEST_P(DamagedMetaPages, AreRefusedOrReadWithoutHarm) {
  constexpr std::size_t meta_bytes = 16 + 152;
  for (std::size_t meta = 0; meta < 2; ++meta) {
    for (std::size_t at = meta * page; at < meta * page + meta_bytes; ++at) {
      patch(at, std::string(1, static_cast<char>(whole_[at] ^ (1 << GetParam()))));
      const int before = passed_over_;
      open_and_read();
      EXPECT_EQ(passed_over_, before) << "byte " << at;
      if (HasFatalFailure()) FAIL() << "byte " << at;
      patch(at, whole_.substr(at, 1));
    }
  }
  EXPECT_GT(refused_, 0);
  EXPECT_GT(accepted_, 0);
}

TEST_F(DamagedSegment, IsRefusedWithFlagsOfItsTableThatSegmentsDoNotHave) {
  // Where the table's flags stand in a meta page. MDB_REVERSEKEY makes LMDB compare keys from their ends:
  // then batches are not found any more, and nothing else tells.
  constexpr std::size_t flags = 16 + 24 + 48 + 4;
  for (std::size_t bit = 0; bit < 16; ++bit) {
    std::string bytes = whole_;
    for (const std::size_t meta : {std::size_t{0}, page}) {
      bytes[meta + flags + bit / 8] = static_cast<char>(bytes[meta + flags + bit / 8] ^ (1 << bit % 8));
    }
    write_bytes(file(), bytes);
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << "bit " << bit;
  }
}

TEST_F(DamagedSegment, IsRefusedWhereAValueOnPagesOfItsOwnCannotBeThere) {
  std::size_t nodes = 0;
  for (std::size_t at = 2 * page; at + page <= whole_.size(); at += page) {
    const auto number = [&](std::size_t where) {
      std::uint16_t n = 0;
      std::memcpy(&n, whole_.data() + where, sizeof n);
      return n;
    };
    if (number(at + 10) != 0x02) continue;  // a leaf, as LMDB lays it out; none of them is free
    for (std::size_t i = at + 16; i < at + number(at + 12); i += 2) {
      const std::size_t node = at + number(i);
      if (number(node + 4) != 0x01) continue;  // its value lies elsewhere
      ++nodes;
      const std::size_t target = node + 8 + 16;
      const auto refused = [&](std::size_t where, auto value) {
        patch(where, {reinterpret_cast<const char*>(&value), sizeof value});
        EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << value;
        patch(where, whole_.substr(where, sizeof value));
      };
      const std::uint64_t pages = whole_.size() / page;
      for (const std::uint64_t elsewhere :
           {pages, pages - 1, pages + 1, UINT64_MAX, UINT64_MAX - 1, std::uint64_t{1} << 52, std::uint64_t{0},
            std::uint64_t{1}, std::uint64_t{at / page}}) {
        refused(target, elsewhere);
      }
      for (const std::uint32_t size : {0xffff'ffffU, 0x7fff'ffffU, 0x1000'0000U, 9000U, 0U})
        refused(node, size);
    }
  }
  EXPECT_EQ(nodes, 9U);
  EXPECT_THAT(segment_file::open(file(), id), succeeds());
}

TEST_F(DamagedSegment, IsSafeWithAnyPageZeroedOrReplacedByAnother) {
  const std::size_t pages = whole_.size() / page;
  for (std::size_t n = 0; n < pages; ++n) {
    for (const std::string& other :
         {std::string(page, '\0'), std::string(page, '\xff'), whole_.substr((n + 1) % pages * page, page)}) {
      patch(n * page, other);
      open_and_read();
      if (HasFatalFailure()) FAIL() << "page " << n;
    }
    patch(n * page, whole_.substr(n * page, page));
  }
  EXPECT_GT(refused_, 0);
  EXPECT_GT(accepted_, 0) << "pages of values are not read before they are needed";
}

class DamagedSegmentAtRandom : public DamagedSegment, public ::testing::WithParamInterface<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, DamagedSegmentAtRandom, ::testing::Range(1U, 5U));

TEST_P(DamagedSegmentAtRandom, IsRefusedOrReadWithoutHarm) {
  std::mt19937 random{GetParam()};
  for (int round = 0; round < 250; ++round) {
    std::string bytes = whole_;
    for (int flips = round % 4 == 0 ? 16 : 1; flips > 0; --flips) {
      std::size_t at = random() % bytes.size();
      // Mostly where little is much: at the beginnings of pages, and where nodes stand.
      if (round % 3 == 0) at = at / page * page + at % 200;
      if (round % 5 == 4) {
        const std::size_t size = std::min<std::size_t>(1 + random() % 64, bytes.size() - at);
        for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(random());
      } else {
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      }
    }
    write_bytes(file(), bytes);
    open_and_read();
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
  EXPECT_GT(refused_, 0);
  EXPECT_GT(accepted_, 0);
}

}  // namespace
}  // namespace levada::test
