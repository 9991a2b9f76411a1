#include "storage/main_environment.hpp"

#include <atomic>
#include <cstring>
#include <set>
#include <thread>

#include "storage_testing.hpp"

namespace levada::test {
namespace {

using storage::main_environment;
using storage::main_tables;

class MainEnvironment : public ::testing::Test {
 protected:
  static constexpr storage::environment_options options{.map_bytes = std::size_t{8} << 20};

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }

 private:
  temporary_directory directory_;
};

std::set<MDB_dbi> handles(const main_tables& t) {
  return {t.journal, t.catalog, t.offsets, t.producers, t.queues, t.schedule, t.host};
}

TEST_F(MainEnvironment, KeepsItsTablesApart) {
  const auto main = ok(main_environment::create(directory(), options));
  const auto tables = handles(main.tables());
  ASSERT_EQ(tables.size(), 7U);
  auto txn = ok(storage::write_transaction::begin(main.env()));
  for (const MDB_dbi table : tables) {
    EXPECT_FALSE(ok(txn.get(table, as_bytes("k"))));
    ok(txn.put(table, as_bytes("k"), bytes_of(table)));
  }
  for (const MDB_dbi table : tables) EXPECT_EQ(hex(*ok(txn.get(table, as_bytes("k")))), hex(bytes_of(table)));
}

TEST_F(MainEnvironment, FindsEachTableAgainByItsName) {
  {
    auto main = ok(main_environment::create(directory(), options));
    auto txn = ok(storage::write_transaction::begin(main.env()));
    ok(txn.put(main.tables().journal, as_bytes("k"), as_bytes("journal")));
    ok(txn.put(main.tables().catalog, as_bytes("k"), as_bytes("catalog")));
    ok(txn.put(main.tables().offsets, as_bytes("k"), as_bytes("offsets")));
    ok(txn.put(main.tables().producers, as_bytes("k"), as_bytes("producers")));
    ok(txn.put(main.tables().queues, as_bytes("k"), as_bytes("queues")));
    ASSERT_EQ(txn.commit(), 0);
  }
  for (const bool read_only : {false, true}) {
    const auto main = ok(main_environment::open(directory(), {options.map_bytes, read_only, false}));
    const auto txn = ok(storage::read_transaction::begin(main.env()));
    const auto stored = [&](MDB_dbi table) { return hex(*ok(txn.get(table, as_bytes("k")))); };
    EXPECT_EQ(stored(main.tables().journal), hex(as_bytes("journal")));
    EXPECT_EQ(stored(main.tables().catalog), hex(as_bytes("catalog")));
    EXPECT_EQ(stored(main.tables().offsets), hex(as_bytes("offsets")));
    EXPECT_EQ(stored(main.tables().producers), hex(as_bytes("producers")));
    EXPECT_EQ(stored(main.tables().queues), hex(as_bytes("queues")));
  }
}

TEST_F(MainEnvironment, IsNotMadeByOpening) {
  EXPECT_THAT(main_environment::open(directory() / "missing", options), ::testing::Not(succeeds()));
  EXPECT_FALSE(std::filesystem::exists(directory() / "missing"));
}

TEST_F(MainEnvironment, IsDamagedWithoutItsTables) {
  {
    // Someone else's LMDB file: whole, and without levada's tables.
    const auto other = ok(storage::environment::open(directory(), options));
    MDB_txn* txn = nullptr;
    ASSERT_EQ(mdb_txn_begin(other.get(), nullptr, 0, &txn), 0);
    MDB_dbi table = 0;
    ASSERT_EQ(mdb_dbi_open(txn, "journal", MDB_CREATE, &table), 0);
    ASSERT_EQ(mdb_txn_commit(txn), 0);
  }
  const auto refused = main_environment::open(directory(), options);
  ASSERT_THAT(refused, fails_with(errc::damaged));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("catalog"));
}

TEST_F(MainEnvironment, IsReadByManyThreadsAtOnce) {
  const auto main = ok(main_environment::create(directory(), options));
  constexpr std::uint64_t commits = 200;
  std::vector<std::thread> readers;
  readers.reserve(4);
  std::atomic<int> wrong = 0;
  std::atomic<bool> done = false;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      std::uint64_t last = 0;
      do {
        const auto txn = ok(storage::read_transaction::begin(main.env()));
        const auto a = ok(txn.get(main.tables().journal, as_bytes("k")));
        const auto b = ok(txn.get(main.tables().queues, as_bytes("k")));
        if (a.has_value() != b.has_value()) ++wrong;
        if (!a || !b) continue;
        std::uint64_t now = 0;
        std::memcpy(&now, a->data(), sizeof now);
        if (hex(*a) != hex(*b) || now < last) ++wrong;
        last = now;
      } while (!done);
    });
  }
  for (std::uint64_t n = 1; n <= commits; ++n) {
    auto txn = ok(storage::write_transaction::begin(main.env()));
    ok(txn.put(main.tables().journal, as_bytes("k"), bytes_of(n)));
    ok(txn.put(main.tables().queues, as_bytes("k"), bytes_of(n)));
    ASSERT_EQ(txn.commit(), 0);
  }
  done = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0) << "every snapshot is of one commit, and none is older than the one before";
}

}  // namespace
}  // namespace levada::test
