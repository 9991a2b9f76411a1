#include "log/producer_table.hpp"

#include <limits>
#include <string>
#include <vector>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::log {
namespace {

using levada::test::fails_with;
using levada::test::ok;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ProducerTable : public ::testing::Test {
 protected:
  template <class Function>
  void write(Function function) {
    auto txn = ok(storage::write_transaction::begin(main_.env()));
    function(txn);
    ASSERT_EQ(txn.commit(), 0);
  }
  void commit(std::uint32_t log, const std::string& id, const producer_state& state) {
    write([&](auto& txn) { ok(write_producer(txn, tables(), log, id, state)); });
  }
  [[nodiscard]] storage::read_transaction read() const {
    return ok(storage::read_transaction::begin(main_.env()));
  }
  [[nodiscard]] std::optional<producer_state> find(std::uint32_t log, const std::string& id) const {
    return ok(read_producer(read(), tables(), log, id));
  }
  [[nodiscard]] std::vector<stored_producer> all() const { return ok(read_producers(read(), tables())); }
  [[nodiscard]] std::string stored(const std::string& key) const {
    const auto txn = read();
    const auto value = ok(txn.get(tables().producers, std::as_bytes(std::span{key})));
    if (!value) return {};
    return {reinterpret_cast<const char*>(value->data()), value->size()};
  }
  void store(const std::string& key, const std::string& value) {
    write([&](auto& txn) {
      ok(txn.put(tables().producers, std::as_bytes(std::span{key}), std::as_bytes(std::span{value})));
    });
  }
  [[nodiscard]] const storage::main_tables& tables() const { return main_.tables(); }

 private:
  levada::test::temporary_directory directory_;
  storage::main_environment main_ = ok(storage::main_environment::create(
      directory_.path(), {.map_bytes = std::size_t{16} << 20, .no_sync = true}));
};

TEST_F(ProducerTable, ReturnsWhatWasWrittenLast) {
  EXPECT_FALSE(find(1, "importer"));
  commit(1, "importer", {5, 1, -7});
  commit(1, "importer", {4'000'000'000'000, 2, 9});
  const auto state = find(1, "importer");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->last_sequence, 4'000'000'000'000U);
  EXPECT_EQ(state->epoch, 2U);
  EXPECT_EQ(state->time, 9);
  for (const std::string other : {"importe", "importer2", "Importer", "i"})
    EXPECT_FALSE(find(1, other)) << other;
  EXPECT_FALSE(find(2, "importer"));
}

TEST_F(ProducerTable, KeepsIdsOfEveryLengthApart) {
  std::string id;
  for (std::uint64_t n = 1; n <= 255; ++n) {
    id += n % 2 == 0 ? 'b' : 'a';
    commit(3, id, {n, 0, 0});
  }
  id.clear();
  for (std::uint64_t n = 1; n <= 255; ++n) {
    id += n % 2 == 0 ? 'b' : 'a';
    EXPECT_EQ(find(3, id)->last_sequence, n);
  }
  const auto listed = all();
  ASSERT_EQ(listed.size(), 255U);
  for (std::size_t n = 0; n < listed.size(); ++n) {
    EXPECT_EQ(listed[n].id.size(), n + 1) << "sorted by id";
    EXPECT_EQ(listed[n].state.last_sequence, n + 1);
  }
}

TEST_F(ProducerTable, ErasesTheProducersOfOneLog) {
  constexpr auto largest = std::numeric_limits<std::uint32_t>::max();
  for (const std::uint32_t log : {1U, 255U, 256U, 257U, largest}) {
    for (const std::string id : {"a", "b", "a longer name"}) commit(log, id, {log, 1, 1});
  }
  write([&](auto& txn) { ok(erase_producers_of(txn, tables(), 256)); });
  write([&](auto& txn) { ok(erase_producers_of(txn, tables(), 2)); });
  EXPECT_EQ(all().size(), 12U);
  EXPECT_FALSE(find(256, "a"));
  EXPECT_TRUE(find(255, "b"));
  EXPECT_TRUE(find(257, "a"));
  write([&](auto& txn) { ok(erase_producers_of(txn, tables(), largest)); });
  EXPECT_EQ(all().size(), 9U);
}

/// Log 0x203, id "importers", as docs/storage-format.md has it.
const std::string golden_producer_key{"\0\0\0\0\0\0\2\3importers\0\0\0\0\0\0\0", 24};

TEST_F(ProducerTable, StoresAnEntryInTheseBytes) {
  // A change of these bytes is a change of the format's version.
  commit(0x203, "importers", {0x0102030405060708, 0x2122232425262728, 0x1112131415161718});
  std::string hex;
  for (const char c : stored(golden_producer_key)) {
    for (const int nibble : {static_cast<unsigned char>(c) >> 4, c & 15}) hex += "0123456789abcdef"[nibble];
  }
  EXPECT_EQ(hex,
            "c4785054f4ac47be"
            "0807060504030201"
            "2827262524232221"
            "1817161514131211");
}

TEST_F(ProducerTable, FindsEveryChangedBitAndNamesTheProducer) {
  commit(0x203, "importers", {9, 10, 11});
  const std::string whole = stored(golden_producer_key);
  ASSERT_EQ(whole.size(), 32U);
  std::vector<std::string> wrong{{}, whole.substr(0, 31), whole + "x"};
  for (std::size_t i = 0; i < whole.size(); ++i) {
    wrong.push_back(whole);
    wrong.back()[i] = static_cast<char>(whole[i] ^ (1 << (i % 8)));
  }
  for (const auto& changed : wrong) {
    store(golden_producer_key, changed);
    const auto one = read_producer(read(), tables(), 0x203, "importers");
    ASSERT_THAT(one, fails_with(errc::damaged));
    EXPECT_THAT(one.error().message(), HasSubstr("producer 'importers' of log 515"));
    ASSERT_THAT(read_producers(read(), tables()), fails_with(errc::damaged));
  }
  write([&](auto& txn) { ok(erase_producers_of(txn, tables(), 0x203)); });
  EXPECT_THAT(all(), IsEmpty()) << "a topic can be deleted all the same";
}

TEST_F(ProducerTable, FindsAnEntryInTheWrongPlace) {
  commit(0x203, "exporters", {9, 10, 11});
  store(golden_producer_key, stored(std::string{"\0\0\0\0\0\0\2\3"
                                                "exporters\0\0\0\0\0\0\0",
                                                24}));
  EXPECT_THAT(read_producer(read(), tables(), 0x203, "importers"), fails_with(errc::damaged));
}

TEST_F(ProducerTable, FindsAKeyOfTheWrongSize) {
  for (const std::string key : {"short", "8 bytes!", "not a multiple"}) {
    store(key, "value");
    EXPECT_THAT(read_producers(read(), tables()), fails_with(errc::damaged)) << key;
    write([&](auto& txn) { ok(txn.erase(tables().producers, std::as_bytes(std::span{key}))); });
  }
}

}  // namespace
}  // namespace levada::log
