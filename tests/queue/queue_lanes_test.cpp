// Queues with priorities: their entries stand in lanes.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "queue/queue_repair.hpp"
#include "queue/queue_state.hpp"

#include "queue_fixture.hpp"

namespace levada::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class QueueLanes : public queue_fixture {
 protected:
  static constexpr std::size_t lanes = 3;

  /// Appends one entry, of which the offset tells which it is.
  void append_to(std::size_t lane, std::uint64_t offset) {
    write([&](auto& txn) {
      queue_row row = ok(read_row(txn, tables(), id)).value_or(queue_row{});
      const reference where{7, 0, 0, offset, 0, 10, 0};
      ok(append(txn, tables(), id, row, std::span{&where, 1}, lane));
      ok(write_row(txn, tables(), id, row));
    });
    if (state_) state_->committed(row_of(), {});
  }
  void open() {
    state_.emplace(id, "q", false, std::nullopt, lanes);
    ok(state_->load(read(), tables()));
  }
  std::vector<std::uint64_t> take(std::size_t most) {
    std::vector<std::uint64_t> offsets;
    for (const auto& entry : ok(state_->take(environment(), most, 0))) {
      offsets.push_back(entry.where.offset);
      taken_.push_back(entry);
    }
    return offsets;
  }
  void settle_taken() {
    std::vector<std::uint64_t> positions;
    for (const auto& entry : taken_) positions.push_back(entry.position);
    std::sort(positions.begin(), positions.end());
    queue_row row = row_of();
    row.bytes -= settle_all(positions);
    row.settled += positions.size();
    write([&](auto& txn) { ok(write_row(txn, tables(), id, row)); });
    taken_.clear();
  }

  std::optional<queue_state> state_;
  std::vector<taken_entry> taken_;
};

TEST_F(QueueLanes, HandOutTheFirstLaneFirstAndEachInItsOrder) {
  open();
  append_to(2, 1);
  append_to(0, 2);
  append_to(1, 3);
  append_to(2, 4);
  append_to(0, 5);
  EXPECT_EQ(state_->ready().messages, 5U);
  EXPECT_EQ(state_->ready().bytes, 50U);
  EXPECT_THAT(take(10), ElementsAre(2, 5, 3, 1, 4));
  EXPECT_EQ(state_->ready().messages, 0U);
  append_to(2, 6);
  append_to(1, 7);
  EXPECT_THAT(take(10), ElementsAre(7, 6));
}

TEST_F(QueueLanes, GoOnBeyondABlockOfEachLane) {
  for (std::uint64_t i = 0; i < 3 * block_entries; ++i) append_to(i % 2, i);
  open();
  std::vector<std::uint64_t> expected;
  for (std::uint64_t i = 0; i < 3 * block_entries; i += 2) expected.push_back(i);
  for (std::uint64_t i = 1; i < 3 * block_entries; i += 2) expected.push_back(i);
  EXPECT_EQ(take(1'000), expected);
}

TEST_F(QueueLanes, TakeWhatIsReturnedInItsPlace) {
  open();
  for (std::uint64_t i = 0; i < 3; ++i) append_to(1, i);
  EXPECT_THAT(take(2), ElementsAre(0, 1));
  state_->put_back(taken_[1]);
  append_to(0, 10);
  append_to(2, 20);
  EXPECT_THAT(take(10), ElementsAre(10, 1, 2, 20));
}

TEST_F(QueueLanes, ComeBackWhenTheyAreLoadedAnew) {
  for (std::uint64_t i = 0; i < 6; ++i) append_to(i % 3, i);
  open();
  EXPECT_THAT(take(3), ElementsAre(0, 3, 1));
  settle_taken();
  open();
  EXPECT_EQ(state_->ready().messages, 3U);
  EXPECT_THAT(take(10), ElementsAre(4, 2, 5));
  settle_taken();
  open();
  EXPECT_EQ(state_->ready().messages, 0U);
  EXPECT_THAT(take(10), IsEmpty());
  append_to(1, 99);
  EXPECT_THAT(take(10), ElementsAre(99)) << "positions go on";
}

TEST_F(QueueLanes, KnowOfEachLaneWhatHasBeenExposed) {
  for (std::uint64_t i = 0; i < 4; ++i) append_to(i % 2, i);
  queue_row row = row_of();
  EXPECT_FALSE(row.all_exposed());
  row.set_lane(1, {2, 1});
  row.set_lane(0, {2, 2});
  EXPECT_FALSE(row.all_exposed());
  write([&](auto& txn) { ok(write_row(txn, tables(), id, row)); });
  open();
  std::vector<bool> flags;
  for (const auto& entry : ok(state_->take(environment(), 10, 0))) flags.push_back(entry.redelivered);
  EXPECT_THAT(flags, ElementsAre(true, true, true, false));
  row.expose_all();
  EXPECT_TRUE(row.all_exposed());
  row.further.resize(lanes - 1);
  EXPECT_TRUE(state_->take_exposed_back(row));
  EXPECT_EQ(row.lane(0), (lane_row{2, 2}));
  EXPECT_EQ(row.lane(1), (lane_row{2, 1}));
}

TEST_F(QueueLanes, ShowWhatWouldBeHandedOutFirst) {
  open();
  for (std::uint64_t i = 0; i < 4; ++i) append_to(i % 2, i);
  EXPECT_THAT(take(1), ElementsAre(0));
  append_to(0, 10);
  state_->put_back(taken_[0]);
  const auto seen = ok(state_->look_at(environment(), 4, 0));
  std::vector<std::uint64_t> offsets;
  for (const auto& where : seen) offsets.push_back(where.offset);
  EXPECT_THAT(offsets, ElementsAre(0, 2, 10, 1));
}

TEST_F(QueueLanes, AreRepairedEachToWhereItReaches) {
  for (std::uint64_t i = 0; i < 8; ++i) append_to(i % 2, i);
  const queue_row before = row_of();
  const auto nothing_lost = [](const reference&) { return false; };
  EXPECT_FALSE(ok(examine_queue(read(), tables(), id, nothing_lost)));
  std::string changed = stored(state_key_of(id));
  changed.back() = static_cast<char>(changed.back() ^ 1);
  store(state_key_of(id), changed);
  const auto found = ok(examine_queue(read(), tables(), id, nothing_lost));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->count, 0U);
  write([&](auto& txn) { ok(repair_queue(txn, tables(), *found)); });
  const queue_row after = row_of();
  EXPECT_EQ(after.lane(0).tail, before.lane(0).tail);
  EXPECT_EQ(after.lane(1).tail, before.lane(1).tail);
  EXPECT_EQ(after.bytes, before.bytes);
  EXPECT_TRUE(after.all_exposed()) << "anything may have been delivered";
  open();
  EXPECT_THAT(take(10), ElementsAre(0, 2, 4, 6, 1, 3, 5, 7));
}

TEST_F(QueueLanes, MayBeAsManyAsThereMayBe) {
  append_to(lanes_max - 1, 1);
  append_to(0, 2);
  const queue_row row = row_of();
  EXPECT_EQ(row.lanes(), lanes_max);
  EXPECT_EQ(row.lane(lanes_max - 1).tail, 1U);
  EXPECT_EQ(row.entered(), 2U);
  EXPECT_EQ(ok(first_block(read(), tables(), id, lane_begin(lanes_max - 1) / block_entries)),
            lane_begin(lanes_max - 1) / block_entries);
  EXPECT_EQ(ok(first_block(read(), tables(), id, lane_begin(lanes_max - 1) / block_entries + 1)),
            std::nullopt);
}

TEST_F(QueueLanes, AreToldByAsManyRowsAsItTakes) {
  for (const std::size_t count : {1U, 2U, 100U, 101U, 102U, 200U, 201U, 202U, 256U}) {
    const auto queue = static_cast<std::uint32_t>(1'000 + count);
    queue_row row{1, 2, 3, 4};
    for (std::size_t n = 1; n < count; ++n) row.set_lane(n, {n, 1'000 + n});
    write([&](auto& txn) { ok(write_row(txn, tables(), queue, row)); });
    const auto found = ok(read_row(read(), tables(), queue)).value();
    EXPECT_EQ(found.further, row.further) << count;
    EXPECT_EQ(found.bytes, 4U);
  }
  for (const char* const what : {"size", "checksum"}) {
    const std::string key = key_of(1'256, ~std::uint64_t{0} - 3);
    std::string value = stored(key);
    if (what[0] == 's')
      value.pop_back();
    else
      value.back() = static_cast<char>(value.back() ^ 1);
    const std::string kept = stored(key);
    store(key, value);
    EXPECT_THAT(read_row(read(), tables(), 1'256), levada::test::fails_telling(errc::damaged, what));
    store(key, kept);
  }
}

}  // namespace
}  // namespace levada::queue::test
