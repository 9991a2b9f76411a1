#include "storage/segment_salvage.hpp"

#include <cstring>
#include <string>
#include <vector>

#include <support/file_bytes.hpp>

#include "storage/lmdb_format.hpp"
#include "storage_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::batch_header;
using storage::batch_key;
using storage::batch_run;
using storage::segment_salvage;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::size_t page = 4096;
constexpr std::size_t batch_overhead = sizeof(batch_header) + sizeof(batch_run);

/// A batch with these bytes as its records.
std::string batch_of(const batch_key& key, const std::string& records) {
  batch_header header{};
  header.end_offset = key.base_offset + 1;
  header.count = header.runs = 1;
  header.records_size = header.stored_size = static_cast<std::uint32_t>(records.size());
  const batch_run run{1, 2, 0, 1, header.records_size, 0};
  std::string value(batch_overhead, '\0');
  std::memcpy(value.data(), &header, sizeof header);
  std::memcpy(value.data() + sizeof header, &run, sizeof run);
  value += records;
  header.checksum = storage::batch_checksum(key, as_bytes(value));
  std::memcpy(value.data(), &header.checksum, sizeof header.checksum);
  return value;
}

template <class T>
void store(std::string& to, std::size_t at, T value) {
  std::memcpy(to.data() + at, &value, sizeof value);
}

class SegmentSalvage : public ::testing::Test {
 protected:
  static constexpr batch_key small{1, 0, 5};
  static constexpr batch_key large{1, 0, 7};
  static constexpr batch_key last{2, 3, 0};

  [[nodiscard]] fs::path file() const { return directory_ / "00000007.seg"; }
  void write(const std::string& large_records = std::string(3 * page, 'L')) const {
    auto to = ok(storage::segment_writer::create(file(), {.id = 7, .sequence_first = 10, .sequence_last = 99},
                                                 std::size_t{1} << 20));
    const auto add = [&to](const batch_key& key, const std::string& records) {
      const std::string value = batch_of(key, records);
      std::memcpy(ok(to.add(key, value.size())).data(), value.data(), value.size());
    };
    add(small, "12345678");
    add(large, large_records);
    add(last, "87654321");
    (void)ok(to.finish(false));
  }
  [[nodiscard]] segment_salvage open() const {
    auto found = ok(segment_salvage::open(file()));
    EXPECT_TRUE(found);
    return std::move(*found);
  }

 private:
  temporary_directory directory_;
};

TEST_F(SegmentSalvage, FindsEverythingInAWholeFile) {
  write();
  auto found = open();
  EXPECT_THAT(found.good(), ElementsAre(small, large, last));
  EXPECT_THAT(found.bad(), IsEmpty());
  ASSERT_TRUE(found.identity());
  EXPECT_EQ(found.identity()->id, 7U);
  EXPECT_EQ(found.identity()->sequence_last, 99U);
  found.rest();
  const auto batch = ok(found.read(1));
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->stored.size(), 3 * page);
}

TEST_F(SegmentSalvage, FindsBatchesWithoutMetaPages) {
  write();
  std::string whole = read_file(file());
  whole.replace(0, 2 * page, std::string(2 * page, '\0'));
  write_file(file(), whole);
  EXPECT_THAT(open().good(), ElementsAre(small, large, last));
}

TEST_F(SegmentSalvage, NamesABatchThatDoesNotVerify) {
  write();
  std::string whole = read_file(file());
  whole[whole.find("LLLLLLLL") + 9] = 'l';
  write_file(file(), whole);
  const auto found = open();
  EXPECT_THAT(found.good(), ElementsAre(small, last));
  EXPECT_THAT(found.bad(), ElementsAre(large));
}

TEST_F(SegmentSalvage, FindsNothingInAFileThatIsEmptyAndNoneWhereThereIsNoFile) {
  EXPECT_FALSE(ok(segment_salvage::open(file())));
  write_file(file(), "");
  EXPECT_THAT(open().good(), IsEmpty());
  write_file(file(), std::string(100, 'x'));
  EXPECT_THAT(open().good(), IsEmpty());
}

TEST_F(SegmentSalvage, TakesNoRecordForAPageOfTheTree) {
  write();
  const std::size_t at = read_file(file()).find("LLLLLLLL");
  const std::size_t number = at / page + 1;
  const std::size_t before = number * page - at;  // records in front of the next page
  // What a publisher would write who knows the place: a leaf with a batch of its own.
  using namespace storage::lmdb_format;
  const batch_key invented{1, 0, 100};
  const std::string batch = batch_of(invented, "invented");
  std::string forged(page, '\0');
  const std::size_t node = page - node_header_size - 16 - batch.size();
  store(forged, 0, std::uint64_t{number});
  store(forged, 10, static_cast<std::uint16_t>(leaf));
  store(forged, 12, static_cast<std::uint16_t>(page_header_size + 2));
  store(forged, 14, static_cast<std::uint16_t>(node));
  store(forged, page_header_size, static_cast<std::uint16_t>(node));
  store(forged, node, static_cast<std::uint16_t>(batch.size()));
  store(forged, node + 6, std::uint16_t{16});
  store(forged, node + 8, storage::big_endian(std::uint64_t{1} << 32));
  store(forged, node + 16, storage::big_endian(100));
  forged.replace(node + 24, batch.size(), batch);
  std::string records(3 * page, 'L');
  records.replace(before, page, forged);
  write(records);
  ASSERT_EQ(read_file(file()).compare(number * page, page, forged), 0);
  EXPECT_THAT(open().good(), ElementsAre(small, large, last));

  // Nor where the batch around it is damaged.
  std::string whole = read_file(file());
  whole[at] = 'l';
  write_file(file(), whole);
  EXPECT_THAT(open().good(), ElementsAre(small, last));

  // It would be one if it stood for itself: the head of the pages around it is damaged too.
  whole[(number - 1) * page + 10] = 0;
  write_file(file(), whole);
  EXPECT_THAT(open().good(), ElementsAre(small, invented, last));
}

}  // namespace
}  // namespace levada::test
