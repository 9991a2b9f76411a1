#include "storage/store_directory.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <support/child_process.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include "storage/catalog.hpp"
#include "storage_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::attach_store;
using storage::open_store;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class StoreDirectory : public ::testing::Test {
 protected:
  inline static const storage::store_options options{.map_bytes = std::size_t{8} << 20,
                                                     .now = 1'700'000'000'000'001};
  inline static const storage::store_options no_creation{.create = false, .map_bytes = std::size_t{8} << 20};

  [[nodiscard]] const fs::path& parent() const { return directory_.path(); }
  [[nodiscard]] fs::path store() const { return directory_ / "store"; }
  void make_store() const { ok(open_store(store(), options)); }

  /// The names in a directory, sorted.
  static std::vector<std::string> names_in(const fs::path& directory) {
    std::vector<std::string> names;
    for (const auto& e : fs::directory_iterator{directory}) names.push_back(e.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  static storage::store_entry stored(const storage::main_environment& main) {
    const auto txn = ok(storage::read_transaction::begin(main.env()));
    return ok(storage::read_catalog(txn, main.tables())).store;
  }
  /// What a creation that crashed leaves behind.
  [[nodiscard]] fs::path leave_scratch(const std::string& name, std::chrono::minutes age) const {
    auto scratch = directory_ / name;
    fs::create_directories(scratch / "main");
    std::ofstream{scratch / "main" / "data.mdb"} << "half a page";
    fs::last_write_time(scratch, fs::file_time_type::clock::now() - age);
    return scratch;
  }

 private:
  temporary_directory directory_;
};

TEST_F(StoreDirectory, IsMadeWholeAndPrivate) {
  const auto made = ok(open_store(store(), options));
  EXPECT_TRUE(made.lock);
  EXPECT_TRUE(made.signal);
  EXPECT_THAT(names_in(store()), ElementsAre("LOCK", "jobs", "main", "segments", "signal"));
  EXPECT_THAT(names_in(store() / "main"), ElementsAre("data.mdb", "lock.mdb"));
  EXPECT_THAT(names_in(parent()), ElementsAre("store")) << "nothing is left beside it";
  for (const char* name : {"", "main", "segments", "jobs"}) {
    EXPECT_EQ(fs::status(store() / name).permissions(), fs::perms::owner_all) << name;
  }
  const auto entry = stored(made.main);
  EXPECT_EQ(entry.format, storage::format_version);
  EXPECT_EQ(entry.created, options.now);
  EXPECT_EQ(entry.next_id, 2U);
  EXPECT_EQ(entry.epoch, 0U);
}

TEST_F(StoreDirectory, HasTheDefaultExchangeFromTheBeginning) {
  const auto on_disk = ok(open_store(store(), options));
  const auto in_memory = ok(storage::open_memory_store(parent(), options));
  for (const storage::main_environment* const main : {&on_disk.main, &in_memory.main}) {
    const auto txn = ok(storage::read_transaction::begin(main->env()));
    const auto all = ok(storage::read_catalog(txn, main->tables()));
    ASSERT_EQ(all.logs.size(), 1U);
    const storage::log_entry& exchange = all.logs[0];
    EXPECT_EQ(exchange.id, 1U);
    EXPECT_EQ(exchange.name, "");
    EXPECT_EQ(exchange.partitions, 1U);
    EXPECT_EQ(exchange.created, options.now);
    EXPECT_EQ(exchange.exchange, 1U) << "direct";
    EXPECT_EQ(exchange.policy, storage::log_policy{.retention_bytes = std::uint64_t{1} << 30});
    EXPECT_EQ(exchange.traits, storage::exchange_traits{}) << "it stays";
    EXPECT_FALSE(exchange.orphan);
    EXPECT_EQ(all.store.next_id, 2U) << "nothing else gets its id";
    EXPECT_TRUE(all.queues.empty());
    EXPECT_TRUE(all.bindings.empty());
  }
}

TEST_F(StoreDirectory, IsMadeOnce) {
  make_store();
  auto later = options;
  later.now = options.now + 1;
  EXPECT_EQ(stored(ok(open_store(store(), later)).main).created, options.now);
}

TEST_F(StoreDirectory, IsNotMadeUnlessAskedFor) {
  EXPECT_THAT(open_store(store(), no_creation), fails_with(errc::store_not_found));
  EXPECT_THAT(storage::examine_place(store()), fails_with(errc::store_not_found));
  EXPECT_THAT(attach_store(store(), {options.map_bytes}), fails_with(errc::store_not_found));
  fs::create_directory(store());
  EXPECT_THAT(open_store(store(), no_creation), fails_with(errc::store_not_found))
      << "an empty directory is no store";
  EXPECT_TRUE(fs::is_empty(store()));
  EXPECT_THAT(names_in(parent()), ElementsAre("store"));
}

TEST_F(StoreDirectory, TakesThePlaceOfAnEmptyDirectory) {
  fs::create_directory(store());
  fs::permissions(store(), fs::perms::all);
  EXPECT_THAT(open_store(store(), options), succeeds());
  EXPECT_EQ(fs::status(store()).permissions(), fs::perms::owner_all);
}

TEST_F(StoreDirectory, IsNotDisturbedByCreationsThatCrashed) {
  const auto young = leave_scratch(".store.levada-new-Abc123", std::chrono::minutes{0});
  const auto old = leave_scratch(".store.levada-new-Xyz789", std::chrono::minutes{30});
  const auto others = leave_scratch(".other.levada-new-Abc123", std::chrono::minutes{30});
  const auto similar = leave_scratch("store.levada-new-Abc123", std::chrono::minutes{30});
  EXPECT_THAT(open_store(store(), options), succeeds());
  EXPECT_TRUE(fs::exists(young)) << "it may still be under way";
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(others)) << "not this store's";
  EXPECT_TRUE(fs::exists(similar));
  EXPECT_THAT(open_store(store(), no_creation), succeeds());
}

TEST_F(StoreDirectory, ShowsWholeStoresOnlyWhenItsMakerIsKilled) {
  child_process maker{[&](const auto& say) -> int {
    for (int i = 0;; ++i) {
      ok(open_store(parent() / std::to_string(i), options));
      say("made");
    }
  }};
  for (int i = 0; i < 3; ++i) ASSERT_EQ(maker.read_line(), "made");
  maker.kill(SIGKILL);
  EXPECT_EQ(maker.wait(), 128 + SIGKILL);
  std::size_t whole = 0;
  for (const auto& name : names_in(parent())) {
    if (name.starts_with('.')) continue;
    EXPECT_THAT(open_store(parent() / name, no_creation), succeeds()) << name;
    ++whole;
  }
  EXPECT_GE(whole, 3U);
  const auto next = parent() / std::to_string(whole);
  EXPECT_THAT(open_store(next, options), succeeds()) << "where its maker was interrupted, if it was";
}

TEST_F(StoreDirectory, IsMadeByOneOfManyProcesses) {
  const auto contend = [&](const auto& say) {
    child_process::wait_for_go();
    const auto got = open_store(store(), options);
    say(got ? "owner" : got.error() == errc::store_in_use ? "in use" : got.error().message());
    child_process::wait_for_go();
    return 0;
  };
  std::vector<std::unique_ptr<child_process>> contenders;
  contenders.reserve(4);
  for (int i = 0; i < 4; ++i) contenders.push_back(std::make_unique<child_process>(contend));
  for (auto& c : contenders) c->go();
  std::vector<std::string> outcomes;
  outcomes.reserve(contenders.size());
  for (auto& c : contenders) outcomes.push_back(c->read_line());
  std::sort(outcomes.begin(), outcomes.end());
  EXPECT_THAT(outcomes, ElementsAre("in use", "in use", "in use", "owner"));
  for (auto& c : contenders) {
    c->go();
    EXPECT_EQ(c->wait(), 0);
  }
  EXPECT_THAT(names_in(parent()), ElementsAre("store"));
  EXPECT_THAT(open_store(store(), no_creation), succeeds());
}

TEST_F(StoreDirectory, LeavesForeignContentAlone) {
  fs::create_directory(store());
  std::ofstream{store() / "notes.txt"} << "mine";
  for (const auto& refused :
       {open_store(store(), options).error(), open_store(store(), no_creation).error(),
        attach_store(store(), {options.map_bytes}).error(), storage::examine_place(store()).error()}) {
    EXPECT_EQ(refused.code(), errc::not_a_store) << refused.message();
    EXPECT_THAT(refused.message(), HasSubstr(store().string()));
  }
  EXPECT_THAT(names_in(store()), ElementsAre("notes.txt"));
  EXPECT_THAT(names_in(parent()), ElementsAre("store"));
}

TEST_F(StoreDirectory, IsNoFile) {
  std::ofstream{store()} << "text";
  EXPECT_THAT(open_store(store(), options), fails_with(errc::not_a_store));
  EXPECT_THAT(open_store(store() / "below", options), fails_with(errc::not_a_store));
  EXPECT_EQ(fs::file_size(store()), 4U);
}

TEST_F(StoreDirectory, HasAPath) {
  EXPECT_THAT(open_store("", options), fails_with(errc::invalid_argument));
}

TEST_F(StoreDirectory, NeedsAParent) {
  EXPECT_THAT(open_store(parent() / "no" / "store", options), fails_with(errc::io_error));
  EXPECT_TRUE(fs::is_empty(parent()));
}

TEST_F(StoreDirectory, IsTheSameWithATrailingSlash) {
  ok(open_store(store().string() + "/", options));
  EXPECT_THAT(names_in(parent()), ElementsAre("store"));
  EXPECT_THAT(open_store(store(), no_creation), succeeds());
}

TEST_F(StoreDirectory, IsFoundThroughASymbolicLinkAndStaysOneStore) {
  make_store();
  const auto link = parent() / "link";
  fs::create_directory_symlink(store(), link);
  const auto owner = ok(open_store(link, no_creation));
  EXPECT_THAT(open_store(store(), options), fails_with(errc::store_in_use));
  EXPECT_THAT(open_store(link, options), fails_with(errc::store_in_use));
  EXPECT_THAT(attach_store(store(), {options.map_bytes}), fails_with(errc::store_in_use));
}

TEST_F(StoreDirectory, IsRefusedWhereOthersMayWrite) {
  make_store();
  for (const fs::perms loose : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(store(), fs::perms::owner_all | loose);
    const auto refused = open_store(store(), options);
    ASSERT_THAT(refused, fails_with(errc::insecure_directory));
    EXPECT_THAT(refused.error().message(), HasSubstr("mode 7"));
    EXPECT_THAT(attach_store(store(), {options.map_bytes}), fails_with(errc::insecure_directory));
    EXPECT_THAT(storage::examine_place(store()), fails_with(errc::insecure_directory));
  }
  fs::permissions(store(), fs::perms::owner_all | fs::perms::group_read | fs::perms::others_read);
  EXPECT_THAT(open_store(store(), options), succeeds()) << "reading rights are the user's own affair";
}

TEST_F(StoreDirectory, IsRefusedWhenItBelongsToAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a directory to another user needs root";
  make_store();
  ASSERT_EQ(::chown(store().c_str(), 12345, 12345), 0);
  const auto refused = open_store(store(), options);
  ASSERT_THAT(refused, fails_with(errc::insecure_directory));
  EXPECT_THAT(refused.error().message(), HasSubstr("user 12345"));
}

TEST_F(StoreDirectory, IsRefusedOnNetworkFileSystems) {
  // Magic numbers as statfs(2) lists them.
  const std::pair<const char*, std::uint64_t> network[] = {
      {"nfs", 0x6969},      {"smb", 0x517B},        {"smb2", 0xFE534D42},  {"cifs", 0xFF534D42},
      {"ceph", 0x00C36400}, {"afs", 0x5346414F},    {"kafs", 0x6B414653},  {"9p", 0x01021997},
      {"coda", 0x73757245}, {"lustre", 0x0BD00BD0}, {"ocfs2", 0x7461636F}, {"gfs2", 0x01161970},
      {"ncp", 0x564C},      {"panfs", 0xAAD7AAEA},  {"gpfs", 0x47504653}};
  for (const auto& [name, number] : network) {
    EXPECT_TRUE(storage::is_network_filesystem(number)) << name;
    const auto extended =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(number)));
    EXPECT_TRUE(storage::is_network_filesystem(extended)) << name << ", as a signed field reports it";
  }
  const std::pair<const char*, std::uint64_t> local[] = {
      {"ext4", 0xEF53},         {"xfs", 0x58465342},     {"btrfs", 0x9123683E},   {"tmpfs", 0x01021994},
      {"zfs", 0x2FC12FC1},      {"f2fs", 0xF2F52010},    {"overlay", 0x794C7630}, {"ramfs", 0x858458F6},
      {"squashfs", 0x73717368}, {"bcachefs", 0xCA451A4E}};
  for (const auto& [name, number] : local) EXPECT_FALSE(storage::is_network_filesystem(number)) << name;
}

TEST_F(StoreDirectory, GivesUpItsLockWhenItCannotBeOpened) {
  make_store();
  fs::rename(store() / "main", parent() / "aside");
  EXPECT_THAT(open_store(store(), options), ::testing::Not(succeeds()));
  fs::rename(parent() / "aside", store() / "main");
  EXPECT_THAT(open_store(store(), options), succeeds());
}

TEST_F(StoreDirectory, IsReadBesideItsOwnerByAnotherProcess) {
  child_process owner{[&](const auto& say) {
    auto opened = ok(open_store(store(), options));
    say("open");
    child_process::wait_for_go();
    auto txn = ok(storage::write_transaction::begin(opened.main.env()));
    ok(storage::put(txn, opened.main.tables(), storage::log_entry{.id = 1, .name = "orders"}));
    if (txn.commit() != 0) return 1;
    opened.signal->announce();
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(owner.read_line(), "open");
  auto attached = ok(attach_store(store(), {options.map_bytes}));
  EXPECT_THAT(attach_store(store(), {options.map_bytes}), fails_with(errc::store_in_use))
      << "once in a process";
  EXPECT_THAT(storage::write_transaction::begin(attached.main.env()), fails_with(errc::permission_denied));
  owner.go();
  while (attached.signal.commits() == 0) attached.signal.wait(0, std::chrono::seconds{30});
  const auto txn = ok(storage::read_transaction::begin(attached.main.env()));
  EXPECT_EQ(ok(storage::read_catalog(txn, attached.main.tables())).logs.at(0).name, "orders");
  owner.go();
  EXPECT_EQ(owner.wait(), 0);
}

TEST_F(StoreDirectory, InMemoryLeavesNothingBehind) {
  const auto first = ok(storage::open_memory_store(parent(), options));
  const auto second = ok(storage::open_memory_store(parent(), options));
  EXPECT_TRUE(fs::is_empty(parent())) << "while they are open";
  EXPECT_FALSE(first.lock);
  EXPECT_FALSE(first.signal);
  auto txn = ok(storage::write_transaction::begin(first.main.env()));
  ok(storage::put(txn, first.main.tables(), storage::store_entry{.created = 1, .next_id = 50}));
  ASSERT_EQ(txn.commit(), 0);
  EXPECT_EQ(stored(first.main).next_id, 50U);
  EXPECT_EQ(stored(second.main).next_id, 2U) << "each has its own";
}

TEST_F(StoreDirectory, InMemoryNeedsAParent) {
  EXPECT_THAT(storage::open_memory_store(parent() / "missing", options), fails_with(errc::io_error));
}

}  // namespace
}  // namespace levada::test
