#include "storage/free_page_order.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "storage/free_pages.hpp"
#include "storage/row.hpp"

#include "storage_testing.hpp"

namespace levada::test {
namespace {

using storage::big_endian;

/// A table whose rows were erased in such an order that no list of free pages holds neighbours.
class FreePageOrder : public main_fixture {
 protected:
  static constexpr std::uint64_t rows = 6'000;
  static constexpr std::uint64_t rounds = 30;
  /// Of the rows, how many are in use in the end.
  static constexpr std::uint64_t kept = 100;

  [[nodiscard]] MDB_dbi table() const { return tables().journal; }
  static std::string row(std::uint64_t i) { return std::string(4'000, static_cast<char>('a' + i % 26)); }

  void append_rows() {
    auto txn = write();
    {
      auto at = ok(storage::cursor::open(txn, table()));  // does not outlive a commit
      for (std::uint64_t i = 0; i < rows; ++i) {
        const std::uint64_t key = big_endian(i);
        ASSERT_EQ(at.append(bytes_of(key), as_bytes(row(i))), 0);
      }
    }
    ASSERT_EQ(txn.commit(), 0);
  }
  void erase_every(std::uint64_t round) {
    auto txn = write();
    for (std::uint64_t i = round; i < rows - kept; i += rounds) {
      const std::uint64_t key = big_endian(i);
      ok(txn.erase(table(), bytes_of(key)));
    }
    ASSERT_EQ(txn.commit(), 0);
  }
  void scatter() {
    append_rows();
    for (std::uint64_t round = 0; round < rounds; ++round) erase_every(round);
    // What a transaction frees can be used by the one after the next.
    auto txn = write();
    const std::uint64_t key = big_endian(rows - 1);
    ok(txn.erase(table(), bytes_of(key)));
    ok(txn.put(table(), bytes_of(key), as_bytes(row(rows - 1))));
    ASSERT_EQ(txn.commit(), 0);
  }
  void order() {
    auto txn = write();
    ok(storage::order_free_pages(main().env(), txn, table()));
    ASSERT_EQ(txn.commit(), 0);
  }

  struct lists {
    std::size_t pages = 0;
    std::size_t runs = 0;     // of consecutive pages, list by list
    std::size_t longest = 0;  // list
  };
  lists look() {
    lists found;
    ok(storage::see_free_pages(read(), [&](std::uint64_t, const storage::free_list& list) {
      std::vector<std::uint64_t> pages;
      for (std::size_t i = 0; i < list.size(); ++i) pages.push_back(list[i]);
      std::sort(pages.begin(), pages.end());
      for (std::size_t i = 0; i < pages.size(); ++i)
        found.runs += i == 0 || pages[i] != pages[i - 1] + 1 ? 1 : 0;
      found.pages += pages.size();
      found.longest = std::max(found.longest, pages.size());
      return true;
    }));
    return found;
  }
  std::uint64_t used_ever() { return ok(storage::read_free_pages(read())).used_ever; }
  void expect_kept_rows() {
    const auto txn = read();
    for (std::uint64_t i = rows - kept; i < rows; ++i) {
      const std::uint64_t key = big_endian(i);
      const auto value = ok(txn.get(table(), bytes_of(key)));
      ASSERT_TRUE(value) << "row " << i;
      EXPECT_TRUE(std::ranges::equal(*value, as_bytes(row(i)))) << "row " << i;
    }
    const auto first = ok(ok(storage::cursor::open(txn, table())).move(MDB_FIRST));
    ASSERT_TRUE(first);
    EXPECT_EQ(storage::sequence_of(first->key), rows - kept) << "nothing else is in the table";
    const auto last = ok(ok(storage::cursor::open(txn, table())).move(MDB_LAST));
    ASSERT_TRUE(last);
    EXPECT_EQ(storage::sequence_of(last->key), rows - 1) << "nothing else is in the table";
  }
};

TEST_F(FreePageOrder, PutsNeighboursIntoOneList) {
  scatter();
  const lists before = look();
  ASSERT_GT(before.runs, rows / 2) << "each page by itself";
  order();
  const lists after = look();
  EXPECT_LT(after.runs, 100U);
  EXPECT_LE(after.longest, 509U) << "a list fits a page";
  EXPECT_GE(after.pages + 32, before.pages) << "but for what the commit itself used, all are still free";
  expect_kept_rows();
}

TEST_F(FreePageOrder, NeverGrowsTheFile) {
  scatter();
  const std::uint64_t before = used_ever();
  for (int i = 0; i < 20; ++i) order();
  EXPECT_EQ(used_ever(), before);
  expect_kept_rows();
}

TEST_F(FreePageOrder, LeavesWhatASnapshotKeepsFromUse) {
  append_rows();
  erase_every(0);
  const auto snapshot = read();
  for (std::uint64_t round = 1; round < rounds; ++round) erase_every(round);
  const lists before = look();
  const std::uint64_t used = used_ever();
  order();
  EXPECT_EQ(used_ever(), used) << "runs that it may not use are not asked for";
  EXPECT_GT(look().runs, before.runs / 10 * 9);
  // The snapshot still sees its rows.
  const std::uint64_t key = big_endian(1);
  const auto value = ok(snapshot.get(table(), bytes_of(key)));
  ASSERT_TRUE(value);
  EXPECT_TRUE(std::ranges::equal(*value, as_bytes(row(1))));
}

TEST_F(FreePageOrder, HasNothingToDoInAnEmptyEnvironment) {
  const std::uint64_t before = used_ever();
  order();
  EXPECT_LE(used_ever(), before + 8);
  EXPECT_FALSE(ok(ok(storage::cursor::open(read(), table())).move(MDB_FIRST)));
}

}  // namespace
}  // namespace levada::test
