#include "storage/owner_lock.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <type_traits>

#include <support/child_process.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include "storage/catalog.hpp"
#include "storage_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::owner_lock;
using storage::owner_pid;
using storage::process_claim;
using ::testing::HasSubstr;

static_assert(!std::is_copy_constructible_v<owner_lock> && std::is_move_constructible_v<owner_lock>);
static_assert(!std::is_copy_constructible_v<process_claim> && std::is_move_constructible_v<process_claim>);

class OwnerLock : public ::testing::Test {
 protected:
  OwnerLock() {
    fs::create_directory(store());
    ok(owner_lock::create(store()));
  }
  [[nodiscard]] fs::path store() const { return directory_ / "store"; }
  [[nodiscard]] fs::path file() const { return store() / storage::lock_file_name; }
  [[nodiscard]] fs::path beside(const char* name) const { return directory_ / name; }
  [[nodiscard]] result<owner_lock> acquire() const { return owner_lock::acquire(store()); }
  [[nodiscard]] static result<process_claim> attach(const fs::path& directory) {
    return process_claim::make(directory, process_claim::purpose::attach);
  }
  void write_lock_file(const std::string& text) const { std::ofstream{file(), std::ios::trunc} << text; }

  /// What another process is told when it tries to become the owner: its error's message, or "owner".
  [[nodiscard]] std::string another_process_is_told() const {
    child_process other{[&](const auto& say) {
      const auto got = acquire();
      say(got ? "owner" : got.error() == errc::store_in_use ? got.error().message() : "another error");
      return 0;
    }};
    return other.read_line();
  }

 private:
  temporary_directory directory_;
};

TEST_F(OwnerLock, IsHeldUntilItIsDestroyed) {
  {
    const auto owner = ok(acquire());
    EXPECT_THAT(acquire(), fails_with(errc::store_in_use));
    EXPECT_THAT(another_process_is_told(), HasSubstr(std::to_string(::getpid())));
  }
  EXPECT_EQ(another_process_is_told(), "owner");
  EXPECT_THAT(acquire(), succeeds());
}

TEST_F(OwnerLock, MovesWithItsClaim) {
  auto first = ok(acquire());
  {
    const auto second = std::move(first);
    EXPECT_THAT(acquire(), fails_with(errc::store_in_use));
    EXPECT_NE(another_process_is_told(), "owner");
  }
  EXPECT_THAT(acquire(), succeeds());
}

TEST_F(OwnerLock, IsOneWhateverPathLeadsToTheStore) {
  const auto owner = ok(acquire());
  fs::create_directory_symlink(store(), beside("link"));
  fs::create_directory(beside("other"));
  fs::create_hard_link(file(), beside("other") / storage::lock_file_name);
  for (const fs::path& path : {store(), fs::path{store().string() + "/"}, store() / ".." / "store",
                               beside("link"), fs::relative(store()), beside("other")}) {
    const auto second = owner_lock::acquire(path);
    ASSERT_THAT(second, fails_with(errc::store_in_use)) << path;
    EXPECT_THAT(second.error().message(), HasSubstr(path.string()));
    EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(::getpid())));
    EXPECT_THAT(attach(path), fails_with(errc::store_in_use)) << path;
  }
}

// POSIX drops a process's record locks on a file when the process closes any descriptor of it: whatever looks
// at LOCK must not open it where the lock is held.
TEST_F(OwnerLock, OutlivesEverythingThatLooksAtTheStore) {
  const auto owner = ok(acquire());
  EXPECT_EQ(owner_pid(store()), ::getpid());
  EXPECT_THAT(acquire(), fails_with(errc::store_in_use));
  EXPECT_THAT(attach(store()), fails_with(errc::store_in_use));
  fs::create_directory_symlink(store(), beside("link"));
  EXPECT_EQ(owner_pid(beside("link")), ::getpid());
  EXPECT_THAT(owner_lock::acquire(beside("link")), fails_with(errc::store_in_use));
  EXPECT_THAT(owner_lock::create(store()), ::testing::Not(succeeds()));
  EXPECT_THAT(another_process_is_told(), HasSubstr(std::to_string(::getpid())));
}

TEST_F(OwnerLock, OutlivesTheDescriptorsOfOtherProcesses) {
  const auto owner = ok(acquire());
  child_process other{[&](const auto&) {
    std::ifstream{file()}.get();
    return owner_pid(store()) == ::getppid() ? 0 : 1;
  }};
  EXPECT_EQ(other.wait(), 0);
  EXPECT_NE(another_process_is_told(), "owner");
}

TEST_F(OwnerLock, IsNotInheritedByAChild) {
  auto owner = std::optional{ok(acquire())};
  child_process child{[&](const auto& say) {
    const auto while_held = acquire();
    say(while_held ? "owner" : while_held.error().message());
    owner.reset();  // a copy in this process's memory: destroying it must harm nobody
    say("destroyed");
    child_process::wait_for_go();
    say(acquire() ? "owner" : "refused");
    return 0;
  }};
  EXPECT_THAT(child.read_line(), HasSubstr("process with pid " + std::to_string(::getpid())));
  ASSERT_EQ(child.read_line(), "destroyed");
  EXPECT_NE(another_process_is_told(), "owner");
  owner.reset();
  child.go();
  EXPECT_EQ(child.read_line(), "owner");
}

TEST_F(OwnerLock, IsDroppedWhenItsProcessIsKilled) {
  child_process owner{[&](const auto& say) {
    const auto lock = ok(acquire());
    say("owner");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(owner.read_line(), "owner");
  const auto refused = acquire();
  ASSERT_THAT(refused, fails_with(errc::store_in_use));
  EXPECT_THAT(refused.error().message(), HasSubstr(std::to_string(owner.pid())));
  EXPECT_EQ(owner_pid(store()), owner.pid());
  EXPECT_THAT(attach(store()), succeeds()) << "that process has no part in this one's claims";
  owner.kill(SIGKILL);
  owner.wait();
  EXPECT_EQ(owner_pid(store()), std::nullopt);
  EXPECT_THAT(acquire(), succeeds()) << "and a refused attempt left no claim behind";
}

TEST_F(OwnerLock, GoesToExactlyOneOfManyThreads) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> owners = 0;
    std::atomic<int> refused = 0;
    std::atomic<int> asked = 0;
    constexpr int contenders = 8;
    std::vector<std::thread> threads;
    threads.reserve(contenders);
    for (int i = 0; i < contenders; ++i) {
      threads.emplace_back([&] {
        const auto got = acquire();
        ++(got ? owners : refused);
        (void)owner_pid(store());
        ++asked;
        while (asked < contenders) std::this_thread::yield();
      });
    }
    for (auto& t : threads) t.join();
    EXPECT_EQ(owners, 1);
    EXPECT_EQ(refused, contenders - 1);
  }
}

TEST_F(OwnerLock, WritesForPeopleWhoOwnsTheStore) {
  const auto text = [&] {
    std::ifstream in{file()};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
  };
  struct stat info {};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(info.st_size, 128);
  child_process owner{[&](const auto& say) {
    const auto lock = ok(acquire());
    say("owner");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(owner.read_line(), "owner");
  EXPECT_THAT(text(), ::testing::StartsWith("levada store, format 1\npid " + std::to_string(owner.pid()) +
                                            "\nboot "));
  EXPECT_EQ(text().size(), 128U);
}

TEST_F(OwnerLock, RefusesANewerFormatAndForeignFiles) {
  const auto newer = std::to_string(storage::format_version + 1);
  const struct {
    std::string text;
    errc expected;
  } table[] = {
      {"levada store, format " + newer + "\n", errc::unsupported_format},
      {"levada store, format 4294967295\n", errc::unsupported_format},
      {"", errc::not_a_store},
      {"levada store, format ", errc::not_a_store},
      {"levada store, format x\n", errc::not_a_store},
      {"levada store, format -1\n", errc::not_a_store},
      {"Levada store, format 1\n", errc::not_a_store},
      {"pid 17\n", errc::not_a_store},
      {std::string(5000, 'x'), errc::not_a_store},
  };
  for (const auto& [text, expected] : table) {
    write_lock_file(text);
    const auto refused = acquire();
    EXPECT_THAT(refused, fails_with(expected)) << text;
    std::ifstream in{file()};
    EXPECT_EQ((std::string{std::istreambuf_iterator<char>{in}, {}}), text) << "it is left as it was";
  }
  write_lock_file("levada store, format 1\nwhatever a power cut left of the rest");
  EXPECT_THAT(acquire(), succeeds()) << "and no refused attempt left a claim behind";
}

TEST_F(OwnerLock, IsMadeOnce) {
  EXPECT_THAT(owner_lock::create(store()), fails_with(errc::io_error));
  EXPECT_THAT(acquire(), succeeds());
}

TEST_F(OwnerLock, CannotBeHadWhereThereIsNoStore) {
  const auto refused = owner_lock::acquire(beside("nowhere"));
  ASSERT_THAT(refused, fails_with(errc::io_error));
  EXPECT_THAT(refused.error().message(), HasSubstr("nowhere"));
  EXPECT_EQ(owner_pid(beside("nowhere")), std::nullopt);
}

TEST_F(OwnerLock, IsNobodysUntilAcquired) {
  EXPECT_EQ(owner_pid(store()), std::nullopt);
  const auto claim = ok(attach(store()));
  EXPECT_EQ(owner_pid(store()), std::nullopt) << "who is attached is no owner";
}

class ProcessClaim : public OwnerLock {};

TEST_F(ProcessClaim, IsOneForEachStoreAndProcess) {
  {
    const auto claim = ok(attach(store()));
    EXPECT_THAT(attach(store()), fails_with(errc::store_in_use));
    EXPECT_THAT(acquire(), fails_with(errc::store_in_use));
  }
  const auto again = ok(attach(store()));
  fs::create_directory(beside("other"));
  ok(owner_lock::create(beside("other")));
  EXPECT_THAT(owner_lock::acquire(beside("other")), succeeds()) << "another store is another matter";
}

TEST_F(ProcessClaim, MovesWithoutBeingGivenUp) {
  auto first = ok(attach(store()));
  {
    const auto second = std::move(first);
    EXPECT_THAT(attach(store()), fails_with(errc::store_in_use));
  }
  EXPECT_THAT(attach(store()), succeeds());
}

TEST_F(ProcessClaim, OfAParentIsNotItsChilds) {
  auto claim = std::optional{ok(attach(store()))};
  child_process child{[&](const auto&) {
    if (!attach(store())) return 1;
    const auto own = attach(store());
    if (!own) return 2;
    claim.reset();  // the parent's
    return attach(store()) ? 3 : 0;
  }};
  EXPECT_EQ(child.wait(), 0);
  EXPECT_THAT(attach(store()), fails_with(errc::store_in_use));
}

TEST(ForkGuard, TellsAChildFromItsParent) {
  auto first = ok(storage::fork_guard::make());
  EXPECT_FALSE(first.forked());
  const auto guard = std::move(first);
  EXPECT_FALSE(guard.forked());
  child_process child{[&](const auto&) {
    if (!guard.forked()) return 1;
    return ok(storage::fork_guard::make()).forked() ? 2 : 0;
  }};
  EXPECT_EQ(child.wait(), 0);
  EXPECT_FALSE(guard.forked());
}

}  // namespace
}  // namespace levada::test
