#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>

#include <csignal>
#include <fstream>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Opening : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path store() const { return directory_ / "store"; }
  void make_store() const { ok(ok(bus::open(store())).declare_topic("orders")); }

  temporary_directory directory_;
};

TEST_F(Opening, MakesAStoreThatIsPrivateAndWhole) {
  make_store();
  struct stat info {};
  ASSERT_EQ(::stat(store().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  for (const char* name : {"LOCK", "main/data.mdb", "signal"}) {
    ASSERT_EQ(::stat((store() / name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << name;
  }
  for (const auto& entry : fs::directory_iterator{directory_.path()}) {
    EXPECT_EQ(entry.path(), store()) << "nothing else is left beside it";
  }
}

TEST_F(Opening, TakesOverAnEmptyDirectory) {
  fs::create_directory(store());
  EXPECT_THAT(bus::open(store()), succeeds());
  EXPECT_TRUE(fs::exists(store() / "LOCK"));
}

TEST_F(Opening, MakesNothingUnlessAskedTo) {
  EXPECT_THAT(bus::open(store(), {.create = false}), fails_with(errc::store_not_found));
  EXPECT_FALSE(fs::exists(store()));
  EXPECT_THAT(attachment::open(store()), fails_with(errc::store_not_found));
  EXPECT_THAT(bus::open(directory_ / "no" / "parent"), ::testing::Not(succeeds()));
  EXPECT_THAT(bus::open(""), fails_with(errc::invalid_argument));
}

TEST_F(Opening, AcceptsATrailingSlash) {
  ok(bus::open(store().string() + "/"));
  EXPECT_THAT(bus::open(store(), {.create = false}), succeeds());
}

TEST_F(Opening, RefusesASecondOwnerInTheSameProcess) {
  make_store();
  auto owner = ok(bus::open(store()));
  const auto second = bus::open(store());
  ASSERT_THAT(second, fails_with(errc::store_in_use));
  EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(::getpid())));
  fs::create_directory_symlink(store(), directory_ / "link");
  EXPECT_THAT(bus::open(directory_ / "link"), fails_with(errc::store_in_use));
  EXPECT_THAT(attachment::open(store()), fails_with(errc::store_in_use));
  EXPECT_THAT(check_store(store()), fails_with(errc::store_in_use));
  ok(owner.publish("orders", record{"still owned"}));
  ok(owner.close());
  EXPECT_THAT(bus::open(store()), succeeds());
}

TEST_F(Opening, RefusesASecondOwnerInAnotherProcessAndNamesTheFirst) {
  make_store();
  child_process host{[&](const auto& say) {
    auto owner = ok(bus::open(store()));
    say("open");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(host.read_line(), "open");
  const auto second = bus::open(store());
  ASSERT_THAT(second, fails_with(errc::store_in_use));
  EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(host.pid())));
  host.kill(SIGKILL);
  host.wait();
  EXPECT_THAT(bus::open(store()), succeeds()) << "a dead owner owns nothing";
}

TEST_F(Opening, RefusesWhatIsNoStore) {
  std::ofstream{directory_ / "file"} << "text";
  EXPECT_THAT(bus::open(directory_ / "file"), fails_with(errc::not_a_store));
  EXPECT_THAT(bus::open(directory_ / "file" / "below"), fails_with(errc::not_a_store));
  fs::create_directory(store());
  std::ofstream{store() / "notes.txt"} << "mine";
  EXPECT_THAT(bus::open(store()), fails_with(errc::not_a_store));
  EXPECT_TRUE(fs::exists(store() / "notes.txt"));
  std::ofstream{store() / "LOCK"} << "something else's lock";
  fs::permissions(store(), fs::perms::owner_all);
  EXPECT_THAT(bus::open(store()), fails_with(errc::not_a_store));
}

TEST_F(Opening, RefusesAForeignFileInPlaceOfTheData) {
  make_store();
  std::ofstream{store() / "main" / "data.mdb", std::ios::trunc} << std::string(20'000, 'x');
  const auto refused = bus::open(store());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().code(), ::testing::AnyOf(errc::damaged, errc::not_a_store));
  EXPECT_THAT(refused.error().message(), HasSubstr("data.mdb"));
}

TEST_F(Opening, RefusesATruncatedDataFileInsteadOfDyingOfIt) {
  make_store();
  {
    auto owner = ok(bus::open(store()));
    for (int i = 0; i < 20; ++i) ok(owner.publish("orders", record{std::string(50'000, 'x')}));
  }
  fs::resize_file(store() / "main" / "data.mdb", 64ULL * 1024);
  EXPECT_THAT(bus::open(store()), fails_with(errc::damaged));
  EXPECT_THAT(attachment::open(store()), fails_with(errc::damaged));
}

TEST_F(Opening, RefusesANewerFormat) {
  make_store();
  std::fstream lock{store() / "LOCK", std::ios::in | std::ios::out};
  lock << "levada store, format 999\n";
  lock.close();
  const auto refused = bus::open(store());
  ASSERT_THAT(refused, fails_with(errc::unsupported_format));
  EXPECT_THAT(refused.error().message(), HasSubstr("999"));
}

TEST_F(Opening, RefusesADirectoryThatOthersMayWrite) {
  make_store();
  fs::permissions(store(), fs::perms::owner_all | fs::perms::group_write);
  EXPECT_THAT(bus::open(store()), fails_with(errc::insecure_directory));
  EXPECT_THAT(attachment::open(store()), fails_with(errc::insecure_directory));
  fs::permissions(store(), fs::perms::owner_all);
  EXPECT_THAT(bus::open(store()), succeeds());
}

TEST_F(Opening, RefusesAForeignOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a directory to another user needs root";
  make_store();
  ASSERT_EQ(::chown(store().c_str(), 12345, 12345), 0);
  const auto refused = bus::open(store());
  ASSERT_THAT(refused, fails_with(errc::insecure_directory));
  EXPECT_THAT(refused.error().message(), HasSubstr("12345"));
}

TEST_F(Opening, NamesMissingRights) {
  make_store();
  child_process user{[&](const auto&) {
    // As somebody without rights: root would be let in anywhere.
    if (::geteuid() == 0) {
      if (::chmod(directory_.path().c_str(), 0700) != 0 || ::setgid(54321) != 0 || ::setuid(54321) != 0)
        return 3;
    } else {
      fs::permissions(directory_.path(), fs::perms::none);
    }
    const auto refused = bus::open(store());
    return !refused && refused.error() == errc::permission_denied ? 0 : 1;
  }};
  EXPECT_EQ(user.wait(), 0);
  fs::permissions(directory_.path(), fs::perms::owner_all);
}

TEST_F(Opening, NeedsNoRightToReadTheDirectoryAbove) {
  child_process user{[&](const auto&) {
    const fs::path above = directory_.path() / "above";
    fs::create_directory(above);
    if (::geteuid() == 0) {
      if (::chmod(directory_.path().c_str(), 0711) != 0 || ::chown(above.c_str(), 54321, 54321) != 0 ||
          ::setgid(54321) != 0 || ::setuid(54321) != 0)
        return 3;
    }
    if (!bus::open(above / "store")) return 2;
    if (::chmod(above.c_str(), 0300) != 0) return 4;
    const bool opened = bus::open(above / "store").has_value();
    if (::chmod(above.c_str(), 0700) != 0) return 5;
    return opened ? 0 : 1;
  }};
  EXPECT_EQ(user.wait(), 0);
}

TEST_F(Opening, RefusesUseAfterFork) {
  make_store();
  auto owner = ok(bus::open(store()));
  auto orders = ok(owner.topic("orders"));
  child_process child{[&](const auto&) {
    const auto published = orders.publish(record{"from the child"});
    const auto joined = owner.join("g", {"orders"});
    if (published || published.error() != errc::forked || joined || joined.error() != errc::forked) return 1;
    const auto opened = bus::open(store());
    if (opened || opened.error() != errc::store_in_use) return 2;
    return owner.close().error() == errc::forked ? 0 : 3;
  }};
  EXPECT_EQ(child.wait(), 0);
  EXPECT_THAT(orders.publish(record{"from the parent"}), succeeds());
  child_process destroying{[&](const auto&) {
    { const bus moved = std::move(owner); }
    return 0;
  }};
  EXPECT_EQ(destroying.wait(), 0);
  EXPECT_THAT(orders.publish(record{"still"}), succeeds()) << "a child that ends its copy harms nothing";
}

TEST_F(Opening, FailsEveryCallAfterClose) {
  auto owner = ok(bus::open(store()));
  auto orders = ok(owner.declare_topic("orders"));
  ok(owner.close());
  EXPECT_THAT(owner.close(), succeeds());
  EXPECT_THAT(orders.publish(record{"v"}), fails_with(errc::closed));
  EXPECT_THAT(owner.declare_topic("more"), fails_with(errc::closed));
  EXPECT_THAT(owner.topics(), fails_with(errc::closed));
  EXPECT_THAT(owner.replay("orders"), fails_with(errc::closed));
  EXPECT_THAT(owner.join("g", {"orders"}), fails_with(errc::closed));
}

TEST_F(Opening, ChecksItsOptions) {
  EXPECT_THAT(bus::open(store(), {.map_bytes_max = 1000}), fails_with(errc::invalid_argument));
  EXPECT_THAT(bus::open(store(), {.record_bytes_max = 0}), fails_with(errc::invalid_argument));
  EXPECT_THAT(bus::open(store(), {.record_bytes_max = std::size_t{1} << 30}),
              fails_with(errc::invalid_argument));
  EXPECT_FALSE(fs::exists(store()));
}

TEST_F(Opening, RefusesRecordsBeyondTheMapAndGoesOn) {
  auto owner = ok(bus::open(store(), {.map_bytes_max = std::size_t{4} << 20}));
  auto orders = ok(owner.declare_topic("orders"));
  int stored = 0;
  result<publish_receipt> last = orders.publish(record{std::string(100'000, 'x')});
  for (; last; ++stored) last = orders.publish(record{std::string(100'000, 'x')});
  EXPECT_THAT(last, fails_with(errc::store_full));
  EXPECT_GT(stored, 10);
  EXPECT_EQ(ok(owner.topics())[0].partitions[0].end.value(), static_cast<std::uint64_t>(stored));
  ok(owner.close());
  owner = ok(bus::open(store()));
  EXPECT_THAT(owner.publish("orders", record{"there is room now"}), succeeds());
}

TEST_F(Opening, SurvivesAFullDiskAndGoesOnWhenThereIsRoom) {
  make_store();
  child_process host{[&](const auto& say) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto owner = ok(bus::open(store()));
    auto orders = ok(owner.topic("orders"));
    const struct rlimit limit { 1'000'000, RLIM_INFINITY };
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
    std::uint64_t stored = 0;
    for (;;) {
      const auto r = orders.publish(record{std::string(10'000, 'x')});
      if (r) {
        ++stored;
        continue;
      }
      say(r.error().error_code().message());
      if (r.error() != errc::disk_full) return 4;
      break;
    }
    if (stored == 0 || orders.publish(record{std::string(1'000'000, 'x')})) return 5;
    // Reading goes on.
    auto reader = ok(owner.replay("orders"));
    std::uint64_t read = 0;
    for (auto batch = ok(reader.next()); !batch.empty(); batch = ok(reader.next())) read += batch.size();
    if (read != stored) return 6;
    const struct rlimit enough { RLIM_INFINITY, RLIM_INFINITY };
    if (::setrlimit(RLIMIT_FSIZE, &enough) != 0) return 3;
    for (int i = 0; i < 10; ++i) {
      const auto r = orders.publish(record{std::string(10'000, 'y')});
      if (!r || r->offset.value() != stored++) return 7;
    }
    ok(owner.close());
    say(std::to_string(stored));
    return 0;
  }};
  EXPECT_EQ(host.read_line(), "the disk is full");
  const std::string stored = host.read_line();
  ASSERT_EQ(host.wait(), 0);
  const auto report = ok(check_store(store()));
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(std::to_string(report.records), stored);
}

TEST_F(Opening, CannotMakeAStoreOnAFullDisk) {
  child_process host{[&](const auto&) {
    std::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit { 5'000, RLIM_INFINITY };
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
    const auto refused = bus::open(store());
    if (refused) return 4;
    return refused.error() == errc::disk_full ? 0 : 5;
  }};
  EXPECT_EQ(host.wait(), 0);
  EXPECT_TRUE(fs::is_empty(directory_.path())) << "nothing half-done is left";
}

}  // namespace
}  // namespace levada::test
