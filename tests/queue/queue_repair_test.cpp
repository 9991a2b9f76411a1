#include "queue/queue_repair.hpp"

#include "queue_fixture.hpp"

#include <algorithm>
#include <optional>

namespace levada::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class QueueRepair : public queue_fixture {
 protected:
  static constexpr std::uint64_t tail = 2 * block_entries + 10;
  static constexpr std::uint64_t settled = 20;

  /// Three blocks, of which the oldest entries are settled.
  QueueRepair() {
    append_next(tail);
    settle_all(positions(0, settled));
    change_row([](queue_row& row) {
      row.settled = settled;
      row.bytes -= bytes_of(references(0, settled));
      row.exposed = 3;
    });
  }
  template <class Change>
  void change_row(Change change) {
    queue_row row = row_of();
    change(row);
    write([&](auto& txn) { ok(write_row(txn, tables(), id, row)); });
  }
  void spoil(const std::string& key) {
    std::string changed = stored(key);
    changed.back() = static_cast<char>(changed.back() ^ 1);
    store(key, changed);
  }
  /// With the messages of these positions gone.
  [[nodiscard]] std::optional<damaged_queue> examine(const std::vector<std::uint64_t>& lost = {}) const {
    return ok(examine_queue(read(), tables(), id, [&](const reference& where) {
      return std::any_of(lost.begin(), lost.end(),
                         [&](std::uint64_t p) { return where.offset == nth(p).offset; });
    }));
  }
  void repair(const damaged_queue& found) {
    write([&](auto& txn) { ok(repair_queue(txn, tables(), found)); });
    EXPECT_FALSE(examine()) << "what has been repaired is sound";
  }
  void expect_row(const queue_row& expected) const {
    const queue_row row = ok(read_row(read(), tables(), id)).value();
    EXPECT_EQ(row.tail, expected.tail);
    EXPECT_EQ(row.settled, expected.settled);
    EXPECT_EQ(row.exposed, expected.exposed);
    EXPECT_EQ(row.bytes, expected.bytes);
  }
};

TEST_F(QueueRepair, FindsNothingWhereAllIsWell) {
  EXPECT_FALSE(examine());
  EXPECT_FALSE(examine({0, 19})) << "they are settled";
}

TEST_F(QueueRepair, FindsWrongBytesAndPutsThemRightWithoutLosingAnything) {
  const queue_row right = row_of();
  for (const std::uint64_t wrong : {std::uint64_t{0}, right.bytes - 1, right.bytes + 1, ~std::uint64_t{0}}) {
    change_row([&](queue_row& row) { row.bytes = wrong; });
    const auto found = examine();
    ASSERT_TRUE(found) << wrong;
    EXPECT_EQ(found->count, 0U);
    EXPECT_THAT(found->positions, IsEmpty());
    EXPECT_THAT(found->blocks, IsEmpty());
    repair(*found);
    expect_row(right);
  }
}

TEST_F(QueueRepair, TakesTheBytesOfLostMessagesAway) {
  const queue_row before = row_of();
  const auto found = examine({0, settled, tail - 1});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->count, 2U) << "the first is settled";
  EXPECT_THAT(found->positions, ElementsAre(settled, tail - 1));
  repair(*found);
  expect_row({tail, settled + 2, before.exposed, before.bytes - nth(settled).bytes - nth(tail - 1).bytes});
}

TEST_F(QueueRepair, TakesTheBytesOfABlockThatCannotBeReadAway) {
  const queue_row before = row_of();
  spoil(key_of(id, 1));
  const auto found = examine();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->count, block_entries);
  EXPECT_THAT(found->blocks, ElementsAre(1));
  repair(*found);
  expect_row({tail, settled + block_entries, before.exposed,
              before.bytes - bytes_of(references(block_entries, 2 * block_entries))});
}

TEST_F(QueueRepair, MakesTheRowAnewFromTheBlocksWhereItCannotBeRead) {
  const queue_row before = row_of();
  spoil(state_key_of(id));
  const auto found = examine();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->count, 0U);
  repair(*found);
  expect_row({tail, settled, tail, before.bytes});
}

TEST_F(QueueRepair, CountsNoBytesOfAQueueThatIsLeftWithoutMessages) {
  const auto found = examine(positions(0, tail));
  ASSERT_TRUE(found);
  repair(*found);
  expect_row({tail, tail, 3, 0});
}

}  // namespace
}  // namespace levada::queue::test
