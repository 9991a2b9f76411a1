#include "queue/queue_state.hpp"

#include "queue_fixture.hpp"

#include <algorithm>
#include <memory>

#include "queue/queue_repair.hpp"

namespace levada::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Positions that are kept free in a queue, and taken later, as a commit does both.
class QueueFilling : public queue_fixture {
 protected:
  QueueFilling() { open(); }
  void open(std::vector<std::uint64_t> bars = {}) {
    state_ = std::make_unique<queue_state>(id, "work", false);
    ok(state_->load(read(), tables(), std::move(bars)));
  }
  /// Entries of the next positions, behind what is kept free.
  void publish(std::size_t count) {
    queue_row row = state_->row();
    write([&](auto& txn) { ok(append(txn, tables(), id, row, references(row.tail, row.tail + count))); });
    store_row(row);
  }
  /// Keeps positions free, and returns the first of them.
  std::uint64_t keep_free(std::uint64_t room) {
    queue_row row = state_->row();
    const std::uint64_t begin = block_begin_from(row.tail);
    write([&](auto& txn) { ok(complete_block(txn, tables(), id, 0, row.tail)); });
    row.settled += begin + room - row.tail;
    row.tail = begin + room;
    row.bars = {begin};
    store_row(row);
    return begin;
  }
  void fill_up(std::uint64_t at, std::size_t count) {
    queue_row row = state_->row();
    write([&](auto& txn) { ok(fill(txn, tables(), id, row, 0, at, references(at, at + count))); });
    row.settled -= count;
    row.bars = {at + count};
    store_row(row);
  }
  void end_at(std::uint64_t at) {
    queue_row row = state_->row();
    write([&](auto& txn) { ok(complete_block(txn, tables(), id, 0, at)); });
    row.bars.clear();
    store_row(row);
  }
  void store_row(const queue_row& row) {
    write([&](auto& txn) { ok(write_row(txn, tables(), id, row)); });
    state_->committed(row, {});
  }
  std::vector<std::uint64_t> take(std::size_t most = 1'000) {
    std::vector<std::uint64_t> positions;
    for (const auto& entry : ok(state_->take(environment(), most, 0))) positions.push_back(entry.position);
    return positions;
  }
  std::vector<std::uint64_t> look_at() {
    std::vector<std::uint64_t> positions;
    for (const auto& where : ok(state_->look_at(environment(), 1'000, 0)))
      positions.push_back(where.offset - nth(0).offset);
    return positions;
  }
  void expect_sound(const std::vector<std::uint64_t>& kept_free = {}) {
    const auto nothing_lost = [](const reference&) { return false; };
    EXPECT_FALSE(ok(examine_queue(read(), tables(), id, nothing_lost, kept_free)));
  }

  std::unique_ptr<queue_state> state_;
};

TEST_F(QueueFilling, HandsOutInOrderWhatIsFilledInLater) {
  publish(3);
  const std::uint64_t at = keep_free(block_entries);
  EXPECT_EQ(at, block_entries);
  publish(2);
  EXPECT_EQ(state_->row().left(), 5U);
  EXPECT_THAT(look_at(), ElementsAre(0, 1, 2));
  EXPECT_THAT(take(), ElementsAre(0, 1, 2));
  fill_up(at, 2);
  EXPECT_EQ(state_->row().left(), 7U);
  EXPECT_THAT(take(), ElementsAre(62, 63));
  fill_up(at + 2, 1);
  EXPECT_THAT(look_at(), ElementsAre(64));
  end_at(at + 3);
  EXPECT_THAT(take(), ElementsAre(64, 124, 125));
  EXPECT_THAT(take(), IsEmpty());
  expect_sound();
}

TEST_F(QueueFilling, IsOverWhereNothingWasFilledIn) {
  publish(5);
  const std::uint64_t at = keep_free(3 * block_entries);
  publish(1);
  end_at(at);
  EXPECT_THAT(take(), ElementsAre(0, 1, 2, 3, 4, 248));
  expect_sound();
}

TEST_F(QueueFilling, MayTakeAllThatWasKeptFree) {
  const std::uint64_t at = keep_free(2 * block_entries);
  EXPECT_EQ(at, 0U);
  publish(1);
  fill_up(at, 2 * block_entries);
  EXPECT_EQ(take().size(), 2 * block_entries);
  end_at(2 * block_entries);
  EXPECT_THAT(take(), ElementsAre(124));
  EXPECT_EQ(state_->row().left(), 125U);
  expect_sound();
}

TEST_F(QueueFilling, GoesOnInAStateThatIsLoaded) {
  publish(1);
  const std::uint64_t at = keep_free(block_entries);
  fill_up(at, 2);
  publish(1);
  open({at + 2});
  EXPECT_THAT(take(), ElementsAre(0, 62, 63));
  fill_up(at + 2, 1);
  end_at(at + 3);
  open();
  EXPECT_THAT(take(), ElementsAre(0, 62, 63, 64, 124));
}

TEST_F(QueueFilling, ExposesNoFurtherThanIsHandedOut) {
  publish(1);
  const std::uint64_t at = keep_free(block_entries);
  fill_up(at, 2);
  publish(3);
  queue_row row = state_->row();
  EXPECT_FALSE(row.all_exposed());
  row.expose_all();
  EXPECT_TRUE(row.all_exposed());
  EXPECT_EQ(row.exposed, at + 2);
  row.bars.clear();
  EXPECT_FALSE(row.all_exposed());
  row.expose_all();
  EXPECT_EQ(row.exposed, row.tail);
}

TEST_F(QueueFilling, LeavesNoBlockOfWhichAllIsSettled) {
  publish(2);
  settle_all({0, 1});
  keep_free(block_entries);
  EXPECT_FALSE(block_at(0));
}

TEST_F(QueueFilling, IsSparedWhenTheStateIsRepaired) {
  publish(1);
  const std::uint64_t at = keep_free(4 * block_entries);
  fill_up(at, 1);
  write([&](auto& txn) { ok(write_row(txn, tables(), id, queue_row{1, 0, 0, 0})); });  // a wrong one
  const std::vector<std::uint64_t> kept_free{at + 4 * block_entries};
  const auto nothing_lost = [](const reference&) { return false; };
  const auto found = ok(examine_queue(read(), tables(), id, nothing_lost, kept_free));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->row.tail, kept_free[0]) << "what comes next must not stand where the rest will";
  EXPECT_EQ(found->row.left(), 2U);
  write([&](auto& txn) { ok(repair_queue(txn, tables(), *found)); });
  expect_sound(kept_free);
}

}  // namespace
}  // namespace levada::queue::test
