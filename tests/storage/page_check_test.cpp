#include "storage/page_check.hpp"

#include <map>
#include <random>

#include <support/file_bytes.hpp>

#include "storage_testing.hpp"

namespace levada::test {
namespace {

using storage::check_main_file;
using storage::main_environment;
using storage::verify_main_file;
using storage::walk_main_file;
using ::testing::HasSubstr;

/// A data file with deep trees and a long list of free pages, and the means to spoil it.
class PageCheck : public ::testing::Test {
 protected:
  static constexpr std::size_t page = 4096;
  static constexpr std::uint64_t rows = 600;

  PageCheck() { write_pages(); }

  [[nodiscard]] std::filesystem::path file() const { return directory_ / "data.mdb"; }
  [[nodiscard]] main_environment open() const {
    return ok(
        main_environment::open(directory_.path(), {.map_bytes = std::size_t{256} << 20, .no_sync = true}));
  }
  /// The first problem, or nothing.
  [[nodiscard]] std::string complaint() const {
    const auto verified = verify_main_file(file());
    if (verified) return {};
    EXPECT_EQ(verified.error().code(), errc::damaged);
    EXPECT_THAT(verified.error().message(), HasSubstr(file().string()));
    return verified.error().message();
  }

  void expect_whole_journal() const {
    const auto main = open();
    const auto txn = ok(storage::read_transaction::begin(main.env()));
    auto c = ok(storage::cursor::open(txn, main.tables().journal));
    std::uint64_t found = 0;
    for (auto at = ok(c.move(MDB_FIRST)); at; at = ok(c.move(MDB_NEXT))) {
      ASSERT_EQ(hex(at->key), hex(bytes_of(storage::big_endian(found))));
      ASSERT_EQ(at->value.size(), 1500U);
      ++found;
    }
    ASSERT_EQ(found, rows);
  }

  temporary_directory directory_;

 private:
  void write_pages() const {
    const auto main = ok(
        main_environment::create(directory_.path(), {.map_bytes = std::size_t{256} << 20, .no_sync = true}));
    const std::string value(1500, 'v');
    const auto fill = [&](MDB_dbi table, std::uint64_t from, std::uint64_t to) {
      auto txn = ok(storage::write_transaction::begin(main.env()));
      for (std::uint64_t n = from; n < to; ++n) {
        const std::uint64_t key = storage::big_endian(n);
        ok(txn.put(table, bytes_of(key), as_bytes(value)));
      }
      ASSERT_EQ(txn.commit(), 0);
    };
    fill(main.tables().journal, 0, rows);
    fill(main.tables().queues, 0, 1300);
    // More free pages than an entry of their list holds within a page.
    auto txn = ok(storage::write_transaction::begin(main.env()));
    for (std::uint64_t n = 0; n < 1250; ++n) {
      const std::uint64_t key = storage::big_endian(n);
      ok(txn.erase(main.tables().queues, bytes_of(key)));
    }
    ASSERT_EQ(txn.commit(), 0);
    fill(main.tables().catalog, 0, 5);
  }
};

TEST_F(PageCheck, AcceptsASoundFileAndCountsEveryPageOfIt) {
  EXPECT_EQ(complaint(), "");
  const auto shape = ok(check_main_file(file()));
  EXPECT_EQ(shape.page_size, page);
  const auto walked = ok(walk_main_file(file(), shape));
  EXPECT_THAT(walked.problems, ::testing::IsEmpty());
  EXPECT_EQ(walked.pages, shape.last_page + 1) << "every page is in use or on the list of free ones";
  EXPECT_GT(walked.pages, 900U);
}

TEST_F(PageCheck, AcceptsWhatAnyHistoryOfCommitsLeaves) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message{} << "seed " << seed);
  std::mt19937_64 random{seed};
  const auto main = open();
  const MDB_dbi tables[] = {main.tables().journal, main.tables().catalog, main.tables().offsets,
                            main.tables().producers, main.tables().queues};
  for (int commit = 0; commit < 150; ++commit) {
    auto txn = ok(storage::write_transaction::begin(main.env()));
    for (std::uint64_t i = random() % 60; i > 0; --i) {
      const MDB_dbi table = tables[random() % std::size(tables)];
      const std::uint64_t key = storage::big_endian(random() % 1500);
      if (random() % 2 == 0) {
        ok(txn.put(table, bytes_of(key), as_bytes(std::string(random() % 2000 + 1, 'x'))));
      } else {
        ok(txn.erase(table, bytes_of(key)));
      }
    }
    if (random() % 8 == 0) continue;  // aborted
    ASSERT_EQ(txn.commit(), 0);
    ASSERT_EQ(complaint(), "") << "after commit " << commit;
  }
}

TEST_F(PageCheck, RefusesEveryTruncation) {
  const std::string whole = read_file(file());
  const auto shape = ok(check_main_file(file()));
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, page, page + 100, 2 * page, 10 * page,
                                 whole.size() / 2, whole.size() - page}) {
    write_file(file(), whole.substr(0, size));
    EXPECT_NE(complaint(), "") << size << " of " << whole.size() << " bytes, " << shape.last_page + 1
                               << " pages";
  }
}

TEST_F(PageCheck, NamesAMissingFileAndAForeignOne) {
  write_file(file(), std::string(20 * page, 'x'));
  EXPECT_THAT(complaint(), HasSubstr("no LMDB data file"));
  std::filesystem::remove(file());
  EXPECT_THAT(complaint(), HasSubstr("lost"));
}

TEST_F(PageCheck, FindsAPageThatIsZeroedOrReplacedByAnother) {
  const std::string whole = read_file(file());
  const auto shape = ok(check_main_file(file()));
  // Which pages are in use is what the walk of a file without them tells.
  std::map<bool, int> seen;
  for (std::uint64_t n = 2; n <= shape.last_page; n += 11) {
    for (const std::string& other : {std::string(page, '\0'), whole.substr((n == 5 ? 6 : 5) * page, page)}) {
      if (whole.compare(n * page, page, other) == 0) continue;
      patch_file(file(), n * page, other);
      const bool found = !complaint().empty();
      ++seen[found];
      if (!found) expect_whole_journal();  // then nothing refers to it
      write_file(file(), whole);
    }
  }
  EXPECT_GT(seen[true], 50);
  EXPECT_GT(seen[false], 20) << "free pages may hold anything";
}

/// Spoils 2 bytes at an offset of the first page of a kind.
class PageCheckField : public PageCheck {
 protected:
  void spoil(std::uint16_t kind, std::size_t offset, std::uint16_t value) const {
    std::string bytes = read_file(file());
    const auto shape = ok(check_main_file(file()));
    // Of the newest snapshot: a page below the root of the journal.
    for (std::uint64_t n = shape.last_page; n >= 2; --n) {
      std::uint16_t flags = 0;
      std::memcpy(&flags, bytes.data() + n * page + 10, sizeof flags);
      if (flags != kind) continue;
      const std::string before = bytes;
      std::memcpy(bytes.data() + n * page + offset, &value, sizeof value);
      write_file(file(), bytes);
      if (!complaint().empty()) return;
      bytes = before;
    }
    FAIL() << "no page of kind " << kind << " is found spoilt";
  }
};

TEST_F(PageCheckField, FindsAWrongPageNumber) {
  spoil(0x02, 0, 0xffff);
  EXPECT_THAT(complaint(), HasSubstr("it says that it is page"));
}

TEST_F(PageCheckField, FindsImpossibleBounds) {
  spoil(0x02, 12, 0xfff0);
  EXPECT_THAT(complaint(), HasSubstr("bounds"));
}

TEST_F(PageCheckField, FindsANodeOutsideOfItsPage) {
  spoil(0x02, 16, 4094);
  EXPECT_THAT(complaint(), HasSubstr("lies outside"));
}

TEST_F(PageCheckField, FindsTheSameChildTwice) {
  std::string bytes = read_file(file());
  const auto shape = ok(check_main_file(file()));
  bool found = false;
  for (std::uint64_t n = 2; n <= shape.last_page && !found; ++n) {
    char* const at = bytes.data() + n * page;
    std::uint16_t flags = 0;
    std::memcpy(&flags, at + 10, sizeof flags);
    if (flags != 0x01) continue;
    std::uint16_t first = 0;
    std::uint16_t second = 0;
    std::memcpy(&first, at + 16, sizeof first);
    std::memcpy(&second, at + 18, sizeof second);
    const std::string before = bytes;
    std::memcpy(at + second, at + first, 4);
    write_file(file(), bytes);
    found = !complaint().empty();
    if (!found) bytes = before;
  }
  ASSERT_TRUE(found);
  EXPECT_THAT(complaint(), HasSubstr("twice"));
}

TEST_F(PageCheck, NeverLetsLmdbMeetADamageThatKillsIt) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message{} << "seed " << seed);
  std::mt19937_64 random{seed};
  const std::string whole = read_file(file());
  int found = 0;
  std::size_t read = 0;
  for (int round = 0; round < 150; ++round) {
    write_file(file(), whole);
    for (int flips = round % 4 == 0 ? 16 : 1; flips > 0; --flips) {
      // Mostly where little is much: in the meta pages and at the beginnings of pages.
      std::size_t at = random() % whole.size();
      if (round % 3 == 0) at %= 2 * page;
      if (round % 3 == 1) at = at / page * page + at % 64;
      patch_file(file(), at, std::string(1, static_cast<char>(whole[at] ^ (1 << random() % 8))));
    }
    if (!complaint().empty()) {
      ++found;
      continue;
    }
    // What passes is read and written in full; that this process is alive afterwards is the proof.
    auto main =
        main_environment::open(directory_.path(), {.map_bytes = std::size_t{256} << 20, .no_sync = true});
    if (!main) continue;
    auto txn = ok(storage::write_transaction::begin(main->env()));
    for (const MDB_dbi table : {main->tables().journal, main->tables().queues, main->tables().catalog}) {
      auto c = ok(storage::cursor::open(txn, table));
      std::size_t sum = 0;
      for (auto at = c.move(MDB_FIRST); at && *at; at = c.move(MDB_NEXT)) {
        for (const std::byte b : (*at)->value) sum += std::to_integer<std::size_t>(b);
      }
      read += sum;
    }
    for (std::uint64_t n = 10'000; n < 10'050; ++n) {
      ok(txn.put(main->tables().journal, bytes_of(storage::big_endian(n)), as_bytes(std::string(1000, 'n'))));
    }
    EXPECT_EQ(txn.commit(), 0);
  }
  EXPECT_GT(read, 0U);
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace levada::test
