#include "storage/lmdb.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <type_traits>

#include <support/child_process.hpp>

#include <sys/resource.h>
#include <sys/stat.h>

#include "storage_testing.hpp"

namespace levada::test {
namespace {

using storage::cursor;
using storage::environment;
using storage::read_transaction;
using storage::write_transaction;

template <class T>
inline constexpr bool move_only = std::is_move_constructible_v<T>&& std::is_move_assignable_v<T> &&
                                  !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(move_only<environment> && move_only<read_transaction> && move_only<write_transaction> &&
              move_only<cursor>);

class Lmdb : public main_fixture {
 protected:
  [[nodiscard]] MDB_dbi table() const { return tables().journal; }
  void store(const std::string& key, const std::string& value) {
    auto txn = write();
    ok(txn.put(table(), as_bytes(key), as_bytes(value)));
    ASSERT_EQ(txn.commit(), 0);
  }
  std::string found_in(const storage::transaction& txn, const std::string& key) const {
    const auto value = ok(txn.get(table(), as_bytes(key)));
    return value ? std::string{reinterpret_cast<const char*>(value->data()), value->size()} : "nothing";
  }
  std::string found(const std::string& key) { return found_in(read(), key); }
};

TEST_F(Lmdb, KeepsWhatWasCommitted) {
  store("k", "v");
  EXPECT_EQ(found("k"), "v");
  EXPECT_EQ(found("other"), "nothing");
}

// A page of it that has no room yet would end the process when the disk is full.
TEST_F(Lmdb, TakesTheRoomOfItsLockFile) {
  temporary_directory fresh;
  std::ofstream{fresh / "lock.mdb"}.close();
  for (int round = 0; round < 2; ++round) {
    ok(environment::open(fresh.path(), {.map_bytes = std::size_t{1} << 20}));
    struct stat info {};
    ASSERT_EQ(::stat((fresh / "lock.mdb").c_str(), &info), 0);
    EXPECT_GE(info.st_size, 1'024 * 64) << "a slot for each reader";
    EXPECT_GE(info.st_blocks * 512, info.st_size);
    std::filesystem::resize_file(fresh / "lock.mdb", 0);
    std::filesystem::resize_file(fresh / "lock.mdb", 100'000);  // a hole
  }
}

TEST_F(Lmdb, UndoesAWriteTransactionThatWasNotCommitted) {
  {
    auto txn = write();
    ok(txn.put(table(), as_bytes("k"), as_bytes("v")));
    EXPECT_EQ(found_in(txn, "k"), "v") << "it sees its own writes";
  }
  EXPECT_EQ(found("k"), "nothing");
  store("k", "a second writer is not shut out");
  EXPECT_NE(found("k"), "nothing");
}

TEST_F(Lmdb, MovesATransactionWithoutEndingIt) {
  auto first = write();
  ok(first.put(table(), as_bytes("k"), as_bytes("v")));
  auto second = std::move(first);
  ok(second.put(table(), as_bytes("l"), as_bytes("w")));
  ASSERT_EQ(second.commit(), 0);
  EXPECT_EQ(found("k"), "v");
  EXPECT_EQ(found("l"), "w");
}

TEST_F(Lmdb, EndsTheTransactionThatIsAssignedOver) {
  auto txn = write();
  ok(txn.put(table(), as_bytes("k"), as_bytes("v")));
  auto reading = read();
  auto other = read();
  reading = std::move(other);
  EXPECT_EQ(found_in(reading, "k"), "nothing");
}

TEST_F(Lmdb, ShowsAReaderOneSnapshot) {
  store("k", "old");
  const auto snapshot = read();
  store("k", "new");
  EXPECT_EQ(found_in(snapshot, "k"), "old");
  EXPECT_EQ(found("k"), "new");
}

TEST_F(Lmdb, LetsOneThreadReadSeveralSnapshotsAtOnce) {
  store("k", "1");
  const auto first = read();
  store("k", "2");
  const auto second = read();
  EXPECT_EQ(found_in(first, "k"), "1");
  EXPECT_EQ(found_in(second, "k"), "2");
}

TEST_F(Lmdb, TellsWhetherThereWasSomethingToErase) {
  store("k", "v");
  auto txn = write();
  EXPECT_TRUE(ok(txn.erase(table(), as_bytes("k"))));
  EXPECT_FALSE(ok(txn.erase(table(), as_bytes("k"))));
}

TEST_F(Lmdb, RefusesWritesBeyondTheMapWithATypedError) {
  const std::string value(1000, 'v');
  auto txn = write();
  result<void> last;
  for (std::uint64_t k = 0; last && k < 100'000; ++k) {
    const std::uint64_t key = storage::big_endian(k);
    last = txn.put(table(), bytes_of(key), as_bytes(value));
  }
  EXPECT_THAT(last, fails_with(errc::store_full));
}

TEST_F(Lmdb, RefusesAKeyThatIsTooLong) {
  auto txn = write();
  EXPECT_THAT(txn.put(table(), as_bytes(std::string(600, 'k')), as_bytes("v")), ::testing::Not(succeeds()));
  EXPECT_THAT(txn.get(table(), {}), ::testing::Not(succeeds()));
}

TEST_F(Lmdb, RunsOutOfReaderSlotsWithATypedError) {
  std::vector<read_transaction> readers;
  result<read_transaction> last = read_transaction::begin(main().env());
  for (; last && readers.size() < 2000; last = read_transaction::begin(main().env())) {
    readers.push_back(std::move(*last));
  }
  EXPECT_THAT(last, fails_with(errc::out_of_resources));
  EXPECT_EQ(readers.size(), 1024U);
  readers.clear();
  EXPECT_THAT(read_transaction::begin(main().env()), succeeds());
}

TEST_F(Lmdb, CountsCommittedTransactions) {
  const auto before = main().env().last_transaction();
  store("k", "v");
  store("k", "w");
  EXPECT_EQ(main().env().last_transaction(), before + 2);
  { auto undone = write(); }
  EXPECT_EQ(main().env().last_transaction(), before + 2);
}

TEST_F(Lmdb, WalksATableInKeyOrder) {
  auto txn = write();
  for (const char* key : {"b", "d", "a", "c"}) ok(txn.put(table(), as_bytes(key), as_bytes("v")));
  std::string walked;
  auto c = ok(cursor::open(txn, table()));
  for (auto at = ok(c.move(MDB_FIRST)); at; at = ok(c.move(MDB_NEXT))) {
    walked.push_back(static_cast<char>(at->key[0]));
  }
  EXPECT_EQ(walked, "abcd");
  const auto last = ok(c.move(MDB_LAST));
  ASSERT_TRUE(last);
  EXPECT_EQ(hex(last->key), "64");
  const auto range = ok(c.move(MDB_SET_RANGE, as_bytes("bb")));
  ASSERT_TRUE(range);
  EXPECT_EQ(hex(range->key), "63") << "the first at or behind the key";
  EXPECT_FALSE(ok(c.move(MDB_SET_RANGE, as_bytes("e"))));
  EXPECT_FALSE(ok(c.move(MDB_SET, as_bytes("bb"))));
}

TEST_F(Lmdb, ErasesTheEntryThatACursorStandsOn) {
  auto txn = write();
  for (const char* key : {"a", "b", "c"}) ok(txn.put(table(), as_bytes(key), as_bytes("v")));
  auto c = ok(cursor::open(txn, table()));
  ASSERT_TRUE(ok(c.move(MDB_SET, as_bytes("b"))));
  ok(c.erase());
  EXPECT_EQ(found_in(txn, "a"), "v");
  EXPECT_EQ(found_in(txn, "b"), "nothing");
  EXPECT_EQ(found_in(txn, "c"), "v");
}

TEST_F(Lmdb, AppendsOnlyBehindTheLastKey) {
  auto txn = write();
  auto c = ok(cursor::open(txn, table()));
  const auto append = [&c](std::uint64_t k) {
    const std::uint64_t key = storage::big_endian(k);
    return c.append(bytes_of(key), as_bytes("v"));
  };
  EXPECT_EQ(append(1), 0);
  EXPECT_EQ(append(255), 0);
  EXPECT_EQ(append(256), 0) << "byte order is numeric order";
  EXPECT_EQ(append(256), MDB_KEYEXIST);
  EXPECT_EQ(append(2), MDB_KEYEXIST);
  EXPECT_EQ(all_of(txn, table()).size(), 3U);
}

TEST_F(Lmdb, FlushesOnRequest) {
  store("k", "v");
  EXPECT_THAT(main().env().sync(), succeeds());
}

TEST(LmdbEnvironment, NamesTheDirectoryThatItCannotOpen) {
  const temporary_directory directory;
  const auto missing = directory / "missing";
  const auto refused = environment::open(missing, {.map_bytes = std::size_t{1} << 20});
  ASSERT_THAT(refused, fails_with(errc::io_error));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr(missing.string()));
}

TEST(LmdbEnvironment, MakesFilesForItsUserOnly) {
  const temporary_directory directory;
  ok(environment::open(directory.path(), {.map_bytes = std::size_t{1} << 20}));
  for (const char* name : {"data.mdb", "lock.mdb"}) {
    EXPECT_EQ(std::filesystem::status(directory / name).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write)
        << name;
  }
}

TEST(LmdbEnvironment, WritesNothingWhenOpenedReadOnly) {
  const temporary_directory directory;
  ok(environment::open(directory.path(), {.map_bytes = std::size_t{1} << 20}));
  const auto env =
      ok(environment::open(directory.path(), {.map_bytes = std::size_t{1} << 20, .read_only = true}));
  EXPECT_THAT(write_transaction::begin(env), fails_with(errc::permission_denied));
  EXPECT_THAT(read_transaction::begin(env), succeeds());
}

TEST(LmdbEnvironment, FreesTheReaderSlotsOfProcessesThatDied) {
  const temporary_directory directory;
  const storage::environment_options options{.map_bytes = std::size_t{1} << 20};
  child_process reader{[&](const auto& say) {
    child_process::wait_for_go();
    const auto env = ok(environment::open(directory.path(), options));
    const auto snapshot = ok(read_transaction::begin(env));
    say("reading");
    child_process::wait_for_go();
    return 0;
  }};
  // Opened behind the fork: an environment must not be carried into a child.
  auto env = ok(environment::open(directory.path(), options));
  reader.go();
  ASSERT_EQ(reader.read_line(), "reading");
  EXPECT_EQ(env.clear_dead_readers(), 0) << "the living keep theirs";
  reader.kill(SIGKILL);
  reader.wait();
  EXPECT_EQ(env.clear_dead_readers(), 1);
  EXPECT_EQ(env.clear_dead_readers(), 0);
}

TEST(LmdbEnvironment, KnowsWhenItsFileMayNotGrow) {
  const temporary_directory directory;
  child_process limited{[&](const auto&) {
    const auto env = ok(environment::open(directory.path(), {.map_bytes = std::size_t{1} << 20}));
    if (env.no_room()) return 1;
    const struct rlimit ample { std::size_t{1} << 30, RLIM_INFINITY };
    if (::setrlimit(RLIMIT_FSIZE, &ample) != 0) return 2;
    if (env.no_room()) return 3;
    const struct rlimit narrow { std::size_t{1} << 20, RLIM_INFINITY };
    if (::setrlimit(RLIMIT_FSIZE, &narrow) != 0) return 2;
    return env.no_room() ? 0 : 4;
  }};
  EXPECT_EQ(limited.wait(), 0);
}

}  // namespace
}  // namespace levada::test
