#include "storage/host_table.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/host_repair.hpp"

#include <levada/table_key.hpp>

#include "storage_testing.hpp"

namespace levada::test {
namespace {

using storage::host_scanner;

class HostTable : public main_fixture {
 protected:
  HostTable() : txn_{write()} {}
  storage::write_transaction& txn() { return txn_; }

  static std::string key_of(int n) { return storage::host_key(table_key{n}.encoded()); }
  /// A value without runs, so that misplaced pieces show.
  static std::string value_of(std::size_t size, unsigned salt = 0) {
    std::string value(size, '\0');
    for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>((i * 31 + i / 251 + salt) % 256);
    return value;
  }
  void put(std::uint32_t table, const std::string& key, const std::string& value) {
    ok(storage::put_host_value(txn_, tables(), table, key, value));
  }
  std::optional<std::string> get(std::uint32_t table, const std::string& key) {
    return ok(storage::get_host_value(txn_, tables(), table, key));
  }
  std::vector<std::string> keys(std::uint32_t table, const host_scanner::bounds& range) {
    auto scanner = ok(host_scanner::open(txn_, tables(), table, range));
    std::vector<std::string> all;
    while (auto found = ok(scanner.next())) all.push_back(found->key);
    return all;
  }

 private:
  storage::write_transaction txn_;
};

TEST_F(HostTable, GivesBackWhatWasPutWhateverItsSize) {
  int n = 0;
  std::map<std::string, std::string> expected;
  for (const std::size_t size :
       {0U, 1U, 7U, 8U, 1990U, 1991U, 2000U, 2001U, 2008U, 4000U, 100'000U, 1U << 20}) {
    const auto key = key_of(n++);
    put(1, key, expected[key] = value_of(size, static_cast<unsigned>(n)));
  }
  for (const auto& [key, value] : expected) EXPECT_EQ(get(1, key), value) << value.size();
  EXPECT_EQ(get(1, key_of(n)), std::nullopt);
  EXPECT_EQ(get(2, key_of(0)), std::nullopt) << "another table's";
}

TEST_F(HostTable, KeepsEveryRowWithinAPage) {
  const auto longest = storage::host_key(std::string(table_key_bytes_max, 'k'));
  put(1, longest, value_of(1 << 20));
  for (const auto& e : all_of(txn(), tables().host)) {
    EXPECT_LE(e.key.size() + e.value.size(), 2030U);
    EXPECT_EQ(e.value.size() % 8, 0U);
  }
  EXPECT_EQ(get(1, longest), value_of(1 << 20));
}

TEST_F(HostTable, LeavesNothingOfALongerValueBehind) {
  put(1, key_of(1), value_of(50'000));
  put(1, key_of(1), value_of(3000, 5));
  EXPECT_EQ(get(1, key_of(1)), value_of(3000, 5));
  put(1, key_of(1), "");
  EXPECT_EQ(all_of(txn(), tables().host).size(), 1U);
  EXPECT_TRUE(ok(storage::erase_host_value(txn(), tables(), 1, key_of(1))));
  EXPECT_FALSE(ok(storage::erase_host_value(txn(), tables(), 1, key_of(1))));
  EXPECT_TRUE(all_of(txn(), tables().host).empty());
}

TEST_F(HostTable, IsScannedInBothDirectionsWithinBounds) {
  for (int n = 0; n < 6; ++n) put(2, key_of(n), value_of(static_cast<std::size_t>(n) * 900'00));
  put(1, key_of(3), "before");
  put(3, key_of(3), "behind");
  const auto some = [](std::initializer_list<int> ns) {
    std::vector<std::string> all;
    for (const int n : ns) all.push_back(key_of(n));
    return all;
  };
  EXPECT_EQ(keys(2, {}), some({0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(keys(2, {"", "", true}), some({5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(keys(2, {key_of(2), key_of(4)}), some({2, 3}));
  EXPECT_EQ(keys(2, {key_of(2), key_of(4), true}), some({3, 2}));
  EXPECT_EQ(keys(2, {key_of(6), ""}), some({}));
  EXPECT_EQ(keys(2, {key_of(4), key_of(2)}), some({}));
  EXPECT_EQ(keys(4, {"", "", true}), some({}));
}

TEST_F(HostTable, TellsDamageFromAbsence) {
  put(1, key_of(1), value_of(4999));
  const auto rows = all_of(txn(), tables().host);
  ASSERT_EQ(rows.size(), 3U);
  const auto damaged_in_all_ways = [&] {
    EXPECT_THAT(storage::get_host_value(txn(), tables(), 1, key_of(1)), fails_with(errc::damaged));
    auto scanner = ok(host_scanner::open(txn(), tables(), 1, {}));
    EXPECT_THAT(scanner.next(), fails_with(errc::damaged));
  };
  ok(txn().erase(tables().host, rows[1].key));
  damaged_in_all_ways();
  ok(txn().put(tables().host, rows[1].key, rows[1].value));
  EXPECT_EQ(get(1, key_of(1)), value_of(4999));
  auto spoilt = rows[2].value;
  spoilt[3] ^= std::byte{1};
  ok(txn().put(tables().host, rows[2].key, spoilt));
  damaged_in_all_ways();
  spoilt = rows[2].value;
  spoilt.back() = std::byte{1};  // behind the value
  ok(txn().put(tables().host, rows[2].key, spoilt));
  damaged_in_all_ways();
  ok(txn().erase(tables().host, rows[0].key));
  auto scanner = ok(host_scanner::open(txn(), tables(), 1, {}));
  EXPECT_THAT(scanner.next(), fails_with(errc::damaged)) << "its first piece is missing";
}

TEST_F(HostTable, NamesWhatIsDamagedAndGivesUpThatAlone) {
  for (int n = 0; n < 6; ++n) put(1, key_of(n), value_of(3000, static_cast<unsigned>(n)));
  put(2, key_of(0), "another table's");
  EXPECT_TRUE(ok(storage::find_damaged_host_values(txn(), tables(), 1)).empty());
  const auto rows = all_of(txn(), tables().host);
  ASSERT_EQ(rows.size(), 13U);
  ok(txn().erase(tables().host, rows[2].key));  // the first piece of the second value
  ok(txn().erase(tables().host, rows[7].key));  // the last piece of the fourth
  auto spoilt = rows[8].value;
  spoilt[0] ^= std::byte{8};  // the size of the fifth
  ok(txn().put(tables().host, rows[8].key, spoilt));
  const std::string short_key{"\0\0\0\1x", 5};
  ok(txn().put(tables().host, std::as_bytes(std::span{short_key}), rows[0].value));
  std::vector<std::string> found;
  for (const auto& damaged : ok(storage::find_damaged_host_values(txn(), tables(), 1)))
    found.push_back(damaged.key);
  EXPECT_EQ(found, (std::vector<std::string>{key_of(1), key_of(3), key_of(4), ""}));
  for (const auto& key : found) ok(storage::give_up_host_value(txn(), tables(), 1, key));
  EXPECT_TRUE(ok(storage::find_damaged_host_values(txn(), tables(), 1)).empty());
  EXPECT_EQ(keys(1, {}), (std::vector<std::string>{key_of(0), key_of(2), key_of(5)}));
  EXPECT_EQ(get(2, key_of(0)), "another table's");
}

TEST_F(HostTable, IsErasedInSlices) {
  for (int n = 0; n < 10; ++n) put(1, key_of(n), "x");
  put(7, key_of(0), "kept");
  EXPECT_EQ(ok(storage::stored_host_tables(txn(), tables())), (std::vector<std::uint32_t>{1, 7}));
  EXPECT_FALSE(ok(storage::erase_some_host_rows(txn(), tables(), 1, 6)));
  EXPECT_EQ(keys(1, {}).size(), 4U);
  EXPECT_TRUE(ok(storage::erase_some_host_rows(txn(), tables(), 1, 6)));
  EXPECT_EQ(ok(storage::stored_host_tables(txn(), tables())), (std::vector<std::uint32_t>{7}));
  EXPECT_EQ(get(7, key_of(0)), "kept");
}

}  // namespace
}  // namespace levada::test
