#include "group/offset_table.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::group {
namespace {

using levada::test::fails_with;
using levada::test::ok;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OffsetTable : public ::testing::Test {
 protected:
  template <class Function>
  void write(Function function) {
    auto txn = ok(storage::write_transaction::begin(main_.env()));
    function(txn);
    ASSERT_EQ(txn.commit(), 0);
  }
  void commit(const offset_row& entry) {
    write([&](auto& txn) { ok(write_offset(txn, tables(), entry)); });
  }
  [[nodiscard]] storage::read_transaction read() const {
    return ok(storage::read_transaction::begin(main_.env()));
  }
  [[nodiscard]] std::optional<offset_row> find(std::uint32_t group, std::uint32_t log,
                                               std::uint32_t partition) const {
    return ok(read_offset(read(), tables(), group, log, partition));
  }
  [[nodiscard]] std::string stored(const std::string& key) const {
    const auto txn = read();
    const auto value = ok(txn.get(tables().offsets, std::as_bytes(std::span{key})));
    if (!value) return {};
    return {reinterpret_cast<const char*>(value->data()), value->size()};
  }
  void store(const std::string& key, const std::string& value) {
    write([&](auto& txn) {
      ok(txn.put(tables().offsets, std::as_bytes(std::span{key}), std::as_bytes(std::span{value})));
    });
  }
  [[nodiscard]] const storage::main_tables& tables() const { return main_.tables(); }

 private:
  levada::test::temporary_directory directory_;
  storage::main_environment main_ = ok(storage::main_environment::create(
      directory_.path(), {.map_bytes = std::size_t{16} << 20, .no_sync = true}));
};

TEST_F(OffsetTable, ReturnsWhatWasCommitted) {
  EXPECT_FALSE(find(1, 2, 3));
  commit({1, 2, 3, 4'000'000'000'000, -5});
  const auto entry = find(1, 2, 3);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->group, 1U);
  EXPECT_EQ(entry->log, 2U);
  EXPECT_EQ(entry->partition, 3U);
  EXPECT_EQ(entry->next, 4'000'000'000'000U);
  EXPECT_EQ(entry->time, -5);
  for (const auto& [group, log, partition] :
       {std::tuple{2U, 2U, 3U}, {1U, 3U, 3U}, {1U, 2U, 2U}, {1U, 3U, 2U}}) {
    EXPECT_FALSE(find(group, log, partition)) << group << " " << log << " " << partition;
  }
}

TEST_F(OffsetTable, KeepsTheNewestCommitEvenIfItIsLower) {
  commit({1, 2, 3, 100, 10});
  commit({1, 2, 3, 40, 20});
  EXPECT_EQ(find(1, 2, 3)->next, 40U);
  EXPECT_EQ(find(1, 2, 3)->time, 20);
  EXPECT_EQ(ok(read_offsets(read(), tables())).size(), 1U);
}

TEST_F(OffsetTable, KeepsTheLargestNumbers) {
  constexpr auto id = std::numeric_limits<std::uint32_t>::max();
  commit({id, id, id, std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::int64_t>::max()});
  EXPECT_EQ(find(id, id, id)->next, std::numeric_limits<std::uint64_t>::max());
  const auto all = ok(read_offsets(read(), tables()));
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].group, id);
  EXPECT_EQ(all[0].log, id);
  EXPECT_EQ(all[0].partition, id);
}

TEST_F(OffsetTable, ListsByGroupThenLogThenPartition) {
  EXPECT_THAT(ok(read_offsets(read(), tables())), IsEmpty());
  // Numbers beyond a byte, so that an order by the bytes of the machine would show.
  std::vector<std::uint32_t> numbers{65'536, 1, 2, 256, 255};
  for (const std::uint32_t g : numbers) {
    for (const std::uint32_t log : numbers) {
      for (const std::uint32_t p : numbers) commit({g, log, p, g + log + p, 0});
    }
  }
  const auto all = ok(read_offsets(read(), tables()));
  ASSERT_EQ(all.size(), 125U);
  std::sort(numbers.begin(), numbers.end());
  std::size_t i = 0;
  for (const std::uint32_t group : numbers) {
    for (const std::uint32_t log : numbers) {
      for (const std::uint32_t partition : numbers) {
        EXPECT_EQ(all[i].group, group);
        EXPECT_EQ(all[i].log, log);
        EXPECT_EQ(all[i].partition, partition);
        EXPECT_EQ(all[i].next, std::uint64_t{group} + log + partition);
        ++i;
      }
    }
  }
}

/// Group 1, log 0x203, partition 0x405, as docs/storage-format.md has it: all big-endian.
const std::string golden_key{"\0\0\0\0\0\0\0\1\0\0\2\3\0\0\4\5", 16};

std::string hex(const std::string& bytes) {
  std::string digits;
  for (const char c : bytes) {
    for (const int nibble : {static_cast<unsigned char>(c) >> 4, c & 15})
      digits += "0123456789abcdef"[nibble];
  }
  return digits;
}

TEST_F(OffsetTable, StoresAnEntryInTheseBytes) {
  // A change of these bytes is a change of the format's version.
  commit({1, 0x203, 0x405, 0x0102030405060708, 0x1112131415161718});
  EXPECT_EQ(hex(stored(golden_key)),
            "97adfa95bcf2a23e"
            "0807060504030201"
            "1817161514131211");
}

TEST_F(OffsetTable, StoresMetadataInTheseBytesBehind) {
  commit({1, 0x203, 0x405, 0x0102030405060708, 0x1112131415161718, "node-7 up"});
  EXPECT_EQ(hex(stored(golden_key)),
            "2f4c954e7483693d"
            "0807060504030201"
            "1817161514131211"
            "0900000000000000"
            "6e6f64652d372075"
            "7000000000000000");
}

TEST_F(OffsetTable, ReturnsMetadataAsItWasGiven) {
  for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 1024U}) {
    std::string metadata(size, 'm');
    if (size > 0) metadata.back() = '\0';
    commit({1, 2, 3, 4, 5, metadata});
    EXPECT_EQ(find(1, 2, 3)->metadata, metadata);
    EXPECT_EQ(ok(read_offsets(read(), tables())).at(0).metadata, metadata);
  }
  commit({1, 2, 3, 4, 5});
  EXPECT_EQ(find(1, 2, 3)->metadata, "");
}

TEST_F(OffsetTable, ErasesWhatOneGroupHasCommitted) {
  for (const std::uint32_t g : {1U, 2U, 3U}) {
    for (const std::uint32_t p : {0U, 1U}) commit({g, 7, p, 1, 1});
  }
  write([&](auto& txn) { ok(erase_offsets_of_group(txn, tables(), 2)); });
  EXPECT_FALSE(find(2, 7, 0));
  EXPECT_FALSE(find(2, 7, 1));
  EXPECT_EQ(ok(read_offsets(read(), tables())).size(), 4U);
}

class OffsetTableDamage : public OffsetTable, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Metadata, OffsetTableDamage, ::testing::Values("", "node-7 up"));

TEST_P(OffsetTableDamage, IsFoundInEveryBitAndNamesThePlace) {
  commit({1, 0x203, 0x405, 9, 10, GetParam()});
  const std::string whole = stored(golden_key);
  ASSERT_EQ(whole.size() % 8, 0U);
  std::vector<std::string> wrong{{}, whole.substr(0, 23), whole + "x", whole.substr(0, whole.size() - 8)};
  for (std::size_t i = 0; i < whole.size(); ++i) {
    wrong.push_back(whole);
    wrong.back()[i] = static_cast<char>(whole[i] ^ (1 << (i % 8)));
  }
  for (const auto& changed : wrong) {
    store(golden_key, changed);
    const auto one = read_offset(read(), tables(), 1, 0x203, 0x405);
    ASSERT_THAT(one, fails_with(errc::damaged));
    EXPECT_THAT(one.error().message(), HasSubstr("group 1, log 515, partition 1029"));
    const auto all = read_offsets(read(), tables());
    ASSERT_THAT(all, fails_with(errc::damaged));
    EXPECT_THAT(all.error().message(), HasSubstr("group 1, log 515, partition 1029"));
  }
  store(golden_key, whole);
  EXPECT_EQ(find(1, 0x203, 0x405)->next, 9U);
}

TEST_F(OffsetTable, FindsAnEntryInTheWrongPlace) {
  commit({1, 0x203, 0x404, 9, 10});
  store(golden_key, stored(std::string{"\0\0\0\0\0\0\0\1\0\0\2\3\0\0\4\4", 16}));
  EXPECT_THAT(read_offset(read(), tables(), 1, 0x203, 0x405), fails_with(errc::damaged));
}

TEST_F(OffsetTable, FindsAKeyOfTheWrongSize) {
  store("short", "value");
  EXPECT_THAT(read_offsets(read(), tables()), fails_with(errc::damaged));
}

}  // namespace
}  // namespace levada::group
