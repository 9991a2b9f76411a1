#include <sys/resource.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <support/child_process.hpp>

#include "checkpoint_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::main_environment;
using storage::read_meta_page;
using storage::restore_meta_page;
using ::testing::HasSubstr;

class MetaPage : public checkpointed_store_fixture {
 protected:
  MetaPage() : main_{ok(main_environment::create(work(), options))} {
    for (int i = 0; i < 10; ++i) change();
  }
  void change() { checkpointed_store_fixture::change(main_, model_, random_); }
  [[nodiscard]] std::uint64_t newest() const { return main_.env().last_transaction(); }
  [[nodiscard]] std::vector<std::byte> newest_page() const {
    return ok(read_meta_page(file(), newest())).value();
  }

 private:
  main_environment main_;
  content model_;
  std::mt19937_64 random_{1};
};

TEST_F(MetaPage, IsReadWhileItsTransactionIsTheNewest) {
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t now = newest();
    const auto page = ok(read_meta_page(file(), now));
    ASSERT_TRUE(page);
    const std::string bytes = read_file(file());
    EXPECT_EQ(hex(*page), hex(as_bytes(bytes).subspan(now % 2 * page->size(), page->size())));
    EXPECT_EQ(ok(storage::check_snapshot(file(), *page)).transaction, now);
    EXPECT_FALSE(ok(read_meta_page(file(), now - 1))) << "the one before";
    EXPECT_FALSE(ok(read_meta_page(file(), now - 2))) << "an overwritten one";
    EXPECT_FALSE(ok(read_meta_page(file(), now + 1))) << "one that is not there yet";
    EXPECT_FALSE(ok(read_meta_page(file(), now + 2)));
    change();
    EXPECT_FALSE(ok(read_meta_page(file(), now)));
  }
}

TEST_F(MetaPage, IsNeverAMixtureOfTwoThatAreWrittenMeanwhile) {
  // Stands in for a commit: what it writes at once, without the first 16 bytes, filled with its number.
  const std::string whole = read_file(file());
  const fs::path other = work() / "other";
  write_file(other, whole);
  std::atomic<std::uint64_t> done = newest();
  std::atomic<bool> end = false;
  const std::size_t page_size = newest_page().size();
  std::thread writer{[&] {
    std::fstream out{other, std::ios::binary | std::ios::in | std::ios::out};
    for (std::uint64_t n = done + 1; !end; ++n) {
      std::array<std::uint64_t, 15> body{};
      body.fill(n);
      body[1] = number_in<std::uint64_t>(whole, 16 + 24);  // the page size stays
      out.seekp(static_cast<std::streamoff>(n % 2 * page_size + 32));
      out.write(reinterpret_cast<const char*>(body.data()), sizeof body);
      out.flush();
      done = n;
    }
  }};
  int found = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t now = done;
    const auto page = ok(read_meta_page(other, now));
    if (!page) continue;
    ++found;
    for (std::size_t word = 0; word < 15; ++word) {
      if (word == 1) continue;
      std::uint64_t value = 0;
      std::memcpy(&value, page->data() + 32 + 8 * word, sizeof value);
      if (value != now && now > newest())
        ADD_FAILURE() << "word " << word << " is of " << value << " in " << now;
    }
  }
  end = true;
  writer.join();
  EXPECT_GT(found, 0);
}

TEST_F(MetaPage, IsNotReadFromWhatIsNoDataFile) {
  const fs::path other = work() / "other";
  const auto missing = read_meta_page(other, 1);
  ASSERT_THAT(missing, fails_with(errc::damaged));
  EXPECT_THAT(missing.error().message(), HasSubstr("lost"));
  const std::string whole = read_file(file());
  const std::size_t page_size = newest_page().size();
  for (const std::uint64_t transaction : {newest(), newest() + 1}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{100}, page_size, page_size + 100}) {
      write_file(other, whole.substr(0, size));
      EXPECT_THAT(read_meta_page(other, transaction), fails_with(errc::damaged)) << size;
    }
    for (const std::size_t page : {0U, 1U}) {
      for (const std::size_t field : {10U, 16U, 20U, 40U}) {  // flags, magic, version, page size
        std::string spoilt = whole;
        spoilt.replace(page * page_size + field, 2, "\x55\x55");
        write_file(other, spoilt);
        EXPECT_THAT(read_meta_page(other, transaction), fails_with(errc::damaged)) << page << ", " << field;
      }
    }
  }
}

TEST_F(MetaPage, IsNotRestoredToAFileThatDoesNotHoldItsSnapshot) {
  const auto page = newest_page();
  const std::string whole = read_file(file());
  const fs::path data = work() / "other";
  const auto expect_refused = [&](const std::string& bytes, storage::bytes meta, const char* why) {
    write_file(data, bytes);
    const auto refused = restore_meta_page(data, meta);
    ASSERT_THAT(refused, fails_with(errc::damaged)) << why;
    EXPECT_THAT(refused.error().message(), HasSubstr(data.string()));
    EXPECT_TRUE(read_file(data) == bytes) << why << ": nothing is written";
  };
  for (int i = 0; i < 30; ++i) change();
  expect_refused(read_file(file()), page, "its pages were reused");
  expect_refused(whole.substr(0, whole.size() / 2), page, "the file is cut off");
  expect_refused({}, page, "the file is empty");
  expect_refused(whole, {}, "an empty page");
  expect_refused(whole, storage::bytes{page}.first(100), "half a page");
  expect_refused(whole, storage::bytes{page}.first(page.size() / 2), "a page of another size");
  auto foreign = page;
  foreign[16] = std::byte{0};
  expect_refused(whole, foreign, "a page that is not LMDB's");
  fs::remove(data);
  EXPECT_THAT(restore_meta_page(data, page), fails_with(errc::damaged));
  EXPECT_FALSE(fs::exists(data)) << "and none is made";
  write_file(data, whole);
  ok(restore_meta_page(data, page));
}

TEST_F(MetaPage, StaysWhereItStandsWhenThereIsNoRoomToRestoreIt) {
  const fs::path data = work() / "other";
  for (int i = 0; i < 2; ++i) {  // an even and an odd transaction
    const auto meta = newest_page();
    const std::string whole = read_file(file());
    write_file(data, whole);
    child_process limited{[&](const auto&) {
      std::signal(SIGXFSZ, SIG_IGN);
      const struct rlimit limit { meta.size(), RLIM_INFINITY };
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
      const auto refused = restore_meta_page(data, meta);
      return !refused && refused.error().code() == errc::disk_full ? 0 : 1;
    }};
    EXPECT_EQ(limited.wait(), 0);
    const std::string left = read_file(data);
    const std::size_t own = newest() % 2 * meta.size();
    EXPECT_EQ(hex(as_bytes(left).subspan(own, 152)), hex(as_bytes(whole).subspan(own, 152)));
    ok(restore_meta_page(data, meta));
    change();
  }
}

}  // namespace
}  // namespace levada::test
