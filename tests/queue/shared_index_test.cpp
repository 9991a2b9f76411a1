#include "queue/shared_index.hpp"

#include "queue_fixture.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "queue/queue_repair.hpp"

namespace levada::queue::test {
namespace {

using levada::test::fails_telling;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint32_t index_id = first_shared_index + 5;
constexpr std::size_t full = block_entries;

class SharedIndex : public queue_fixture {
 protected:
  SharedIndex() { append_these({}, index_id); }

  /// Puts a queue at the index, which begins a block then.
  void start(std::uint32_t queue = id) {
    write([&](auto& txn) {
      queue_row row = row_of(queue);
      ASSERT_TRUE(ok(start_sharing(txn, tables(), queue, row, index_id, row_of(index_id).tail / full)));
      ok(write_row(txn, tables(), queue, row));
    });
  }
  void stop(std::uint32_t queue = id) {
    write([&](auto& txn) {
      queue_row row = row_of(queue);
      ok(stop_sharing(txn, tables(), queue, row));
      ok(write_row(txn, tables(), queue, row));
    });
  }
  void append_to_all(std::size_t count) { append_next(count, index_id); }
  [[nodiscard]] shared_spans spans(std::uint32_t queue = id) const {
    return ok(read_shares(read(), tables(), queue));
  }
  [[nodiscard]] std::vector<std::pair<std::uint64_t, reference>> unsettled(std::uint32_t queue = id) const {
    std::vector<std::pair<std::uint64_t, reference>> all;
    ok(for_each_unsettled(read(), tables(), queue, [&](std::uint64_t position, const reference& where) {
      all.emplace_back(position, where);
    }));
    return all;
  }
  [[nodiscard]] static std::vector<std::pair<std::uint64_t, reference>> numbered(
      std::uint64_t first, const std::vector<reference>& entries) {
    std::vector<std::pair<std::uint64_t, reference>> all;
    for (std::size_t i = 0; i < entries.size(); ++i) all.emplace_back(first + i, entries[i]);
    return all;
  }
  /// Rows that the queue itself has of blocks.
  [[nodiscard]] std::vector<std::uint64_t> own_rows(std::uint64_t blocks, std::uint32_t queue = id) const {
    std::vector<std::uint64_t> all;
    for (std::uint64_t n = 0; n < blocks; ++n) {
      if (!stored(key_of(queue, n)).empty()) all.push_back(n);
    }
    return all;
  }
};

TEST_F(SharedIndex, GivesItsQueuesWhatIsAppendedToIt) {
  start();
  start(8);
  append_to_all(full + 10);
  for (const std::uint32_t queue : {id, 8U}) {
    EXPECT_EQ(unsettled(queue), numbered(0, references(0, full + 10)));
    EXPECT_EQ(row_of(queue).tail, full + 10);
    EXPECT_EQ(row_of(queue).bytes, bytes_of(references(0, full + 10)));
    EXPECT_EQ(row_of(queue).left(), full + 10);
    EXPECT_THAT(own_rows(3, queue), IsEmpty());
  }
}

TEST_F(SharedIndex, IsJoinedAtABlockOfTheQueueBehindWhatThatHas) {
  append_to_all(2 * full);
  append_these({nth(70), nth(71)});
  start();
  append_to_all(3);
  EXPECT_EQ(row_of().tail, full + 3);
  EXPECT_EQ(row_of().left(), 5U);
  auto expected = numbered(0, {nth(70), nth(71)});
  for (const auto& one : numbered(full, references(2 * full, 2 * full + 3))) expected.push_back(one);
  EXPECT_EQ(unsettled(), expected);
}

TEST_F(SharedIndex, LeavesToAQueueWhatItHasWhenItGoesItsOwnWay) {
  start();
  append_to_all(full + 10);
  settle_all({full + 1});
  stop();
  append_to_all(5);
  append_these({nth(100)});
  auto expected = numbered(0, references(0, full + 10));
  expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(full) + 1);
  expected.emplace_back(full + 10, nth(100));
  EXPECT_EQ(unsettled(), expected);
  EXPECT_EQ(row_of().tail, full + 11);
  EXPECT_EQ(row_of().index, 0U);
  EXPECT_THAT(own_rows(3), ElementsAre(1)) << "it has the block itself in which it goes on";
}

TEST_F(SharedIndex, IsNothingToAQueueThatLeavesBeforeAnythingHasCome) {
  start();
  stop();
  EXPECT_THAT(spans(), SizeIs(0));
  append_these({nth(1)});
  EXPECT_EQ(unsettled(), numbered(0, {nth(1)}));
}

TEST_F(SharedIndex, KnowsNothingOfWhatAQueueHasSettled) {
  start();
  start(8);
  append_to_all(full);
  EXPECT_EQ(settle_all({0, 61}), nth(0).bytes + nth(61).bytes);
  EXPECT_EQ(settle_all({0}), 0U) << "again";
  mark_all({5});
  EXPECT_EQ(stored(key_of(id, 0)).size(), 24U) << "the bits alone";
  EXPECT_EQ(block_at(0)->settled.count(), 2U);
  EXPECT_TRUE(block_at(0)->delivered.test(5));
  EXPECT_EQ(block_at(0)->entries, references(0, full));
  EXPECT_TRUE(block_at(0, 8)->settled.none());
  EXPECT_TRUE(block_at(0, 8)->delivered.none());
}

TEST_F(SharedIndex, GoesOnInABlockOfWhichAQueueHasSettledSome) {
  start();
  append_to_all(3);
  settle_all({1});
  append_to_all(4);
  EXPECT_EQ(unsettled().size(), 6U);
  EXPECT_EQ(block_at(0)->entries, references(0, 7));
}

TEST_F(SharedIndex, KnowsNothingOfWhatAQueueHasCounted) {
  start();
  start(8);
  append_to_all(3);
  write([&](auto& txn) {
    ok(count_deliveries(txn, tables(), id, std::vector<std::uint64_t>{1}));
    ok(postpone(txn, tables(), id, 2, 77));
  });
  append_to_all(2);
  EXPECT_EQ(block_at(0)->entries.at(1).deliveries, 1U);
  EXPECT_EQ(block_at(0)->entries.at(2).not_before, 77U);
  EXPECT_EQ(block_at(0)->entries.at(4), nth(4));
  EXPECT_EQ(block_at(0, 8)->entries, references(0, 5));
  settle_all({0, 3});
  EXPECT_EQ(unsettled().size(), 3U);
  EXPECT_EQ(block_at(0)->entries.at(1).deliveries, 1U) << "settling others does not forget it";
}

TEST_F(SharedIndex, IsNeededFromTheFirstBlockOnThatIsNotSettled) {
  start();
  append_to_all(4 * full);
  EXPECT_EQ(spans().needed_of(index_id), 0U);
  settle_all(positions(full, 3 * full));
  EXPECT_EQ(spans().needed_of(index_id), 0U);
  EXPECT_THAT(own_rows(5), ElementsAre(1, 2)) << "they tell that nothing of it is left";
  settled_amount last;
  write([&](auto& txn) { last = ok(settle(txn, tables(), id, positions(0, full))); });
  EXPECT_THAT(last.done_with, ElementsAre(index_id, index_id, index_id));
  EXPECT_EQ(spans().needed_of(index_id), 3U);
  EXPECT_THAT(own_rows(5), IsEmpty());
  EXPECT_EQ(unsettled(), numbered(3 * full, references(3 * full, 4 * full)));
  EXPECT_EQ(ok(first_block(read(), tables(), id, 0)), 3U);
  settle_all(positions(3 * full, 4 * full));
  EXPECT_EQ(spans().needed_of(index_id), 4U);
  EXPECT_EQ(ok(first_block(read(), tables(), id, 0)), std::nullopt);
  append_to_all(1);
  EXPECT_EQ(unsettled(), numbered(4 * full, {nth(4 * full)}));
}

TEST_F(SharedIndex, IsNotKeptForLongByOneMessage) {
  start();
  append_to_all(200 * full);
  settled_amount all;
  write([&](auto& txn) { all = ok(settle(txn, tables(), id, positions(1, 200 * full))); });
  EXPECT_EQ(spans().needed_of(index_id), 200U);
  EXPECT_THAT(all.done_with, SizeIs(200));
  EXPECT_THAT(own_rows(201), ElementsAre(0)) << "it has that one itself now";
  EXPECT_EQ(unsettled(), numbered(0, {nth(0)}));
  EXPECT_EQ(settle_all({0}), nth(0).bytes);
  EXPECT_THAT(own_rows(201), IsEmpty());
  append_to_all(1);
  EXPECT_EQ(unsettled(), numbered(200 * full, {nth(200 * full)}));
}

TEST_F(SharedIndex, TellsWhoHasNothingOfItAnyMore) {
  start();
  append_to_all(2 * full);
  const auto settle_some = [&](std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint32_t> left;
    write([&](auto& txn) { left = ok(settle(txn, tables(), id, positions(from, to))).left; });
    return left;
  };
  EXPECT_THAT(settle_some(0, full), IsEmpty());
  stop();
  EXPECT_THAT(settle_some(full, 2 * full), ElementsAre(index_id));
}

TEST_F(SharedIndex, IsForgottenByAQueueThatHasLeftAndHasNothingOfItAnyMore) {
  start();
  append_to_all(2 * full);
  stop();
  settle_all(positions(0, full));
  EXPECT_EQ(spans().needed_of(index_id), 1U);
  settle_all(positions(full, 2 * full));
  EXPECT_EQ(spans().needed_of(index_id), std::nullopt);
  EXPECT_EQ(stored(key_of(id, ~std::uint64_t{0} - 1)), "");
}

TEST_F(SharedIndex, IsRefusedToAQueueThatHasTooManyStretches) {
  for (std::size_t i = 0; i < shared_spans::most; ++i) {
    start();
    append_to_all(full);
    stop();
  }
  const auto before = row_of();
  write([&](auto& txn) {
    queue_row row = before;
    EXPECT_FALSE(ok(start_sharing(txn, tables(), id, row, index_id, row_of(index_id).tail / full)));
    EXPECT_EQ(row.tail, before.tail);
    EXPECT_EQ(row.index, 0U);
  });
  EXPECT_EQ(unsettled(), numbered(0, references(0, shared_spans::most * full)));
  settle_all(positions(full, 2 * full));
  EXPECT_THAT(spans(), SizeIs(shared_spans::most - 1)) << "one in the middle";
  start();
  append_to_all(1);
  EXPECT_EQ(unsettled().back(), std::pair(row_of().tail - 1, nth(shared_spans::most * full)));
}

TEST_F(SharedIndex, MakesWhatComesWhileThereIsAConsumerCountAsDelivered) {
  start();
  append_to_all(2);
  write([&](auto& txn) {
    queue_row row = row_of();
    row.expose_all();
    row.exposes = true;
    ok(write_row(txn, tables(), id, row));
  });
  append_to_all(3);
  EXPECT_EQ(row_of().exposed, 5U);
  write([&](auto& txn) {
    queue_row row = row_of();
    row.exposes = false;
    ok(write_row(txn, tables(), id, row));
  });
  append_to_all(1);
  EXPECT_EQ(row_of().exposed, 5U);
  EXPECT_EQ(row_of().tail, 6U);
}

TEST_F(SharedIndex, HasTheLayoutOfTheDocumentation) {
  append_these({nth(1)});
  append_to_all(full);
  start();
  const std::string shares = stored(key_of(id, ~std::uint64_t{0} - 1));
  const auto number = [](std::uint64_t n) {
    std::string bytes;
    for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(n >> shift & 0xff);
    return bytes;
  };
  EXPECT_EQ(shares.substr(8), number(index_id) + number(1) + number(~std::uint64_t{0}) + number(0));
  const std::string state = stored(state_key_of(id));
  EXPECT_EQ(state.substr(8), number(full) + number(full - 1) + number(0) + number(nth(1).bytes) +
                                 number(full) + number(bytes_of(references(0, full))) + number(0));
}

TEST_F(SharedIndex, ThatIsDamagedIsToldByItsQueues) {
  start();
  append_to_all(2 * full + 1);
  const std::string block = key_of(index_id, 1);
  const std::string kept = stored(block);
  std::string changed = kept;
  changed[20] = static_cast<char>(changed[20] ^ 1);
  store(block, changed);
  EXPECT_THAT(read_block(read(), tables(), id, 1), fails_telling(errc::damaged, "queue 7:"));
  EXPECT_TRUE(block_at(0));
  store(block, kept);
  const std::string state = stored(state_key_of(index_id));
  store(state_key_of(index_id), state.substr(0, 39) + '\1');
  EXPECT_THAT(read_row(read(), tables(), id), fails_telling(errc::damaged, "queue 7:"));
  store(state_key_of(index_id), state);
  EXPECT_EQ(row_of().tail, 2 * full + 1);
  const std::string shares_key = key_of(id, ~std::uint64_t{0} - 1);
  const std::string shares = stored(shares_key);
  for (const std::string& wrong : {shares.substr(0, 39), shares + '\0', shares.substr(0, 8),
                                   shares.substr(0, 20) + '\7' + shares.substr(21)}) {
    store(shares_key, wrong);
    EXPECT_THAT(read_block(read(), tables(), id, 0), fails_telling(errc::damaged, "what it shares"));
    EXPECT_THAT(read_row(read(), tables(), id), fails_telling(errc::damaged, "queue 7:"));
  }
}

TEST_F(SharedIndex, LosesOneBlockToOneThatIsDamaged) {
  start();
  append_to_all(3 * full);
  settle_all({0, full, 2 * full + 5});
  write([&](auto& txn) {
    queue_row row = row_of();
    row.settled += 3;
    row.bytes -= nth(0).bytes + nth(full).bytes + nth(2 * full + 5).bytes;
    ok(write_row(txn, tables(), id, row));
  });
  const auto nothing_lost = [](const reference&) { return false; };
  EXPECT_FALSE(ok(examine_queue(read(), tables(), id, nothing_lost)));
  store(key_of(index_id, 1), "x");
  const auto damage = ok(examine_queue(read(), tables(), id, nothing_lost));
  ASSERT_TRUE(damage);
  EXPECT_EQ(damage->count, full - 1);
  write([&](auto& txn) { ok(repair_queue(txn, tables(), *damage)); });
  EXPECT_FALSE(ok(examine_queue(read(), tables(), id, nothing_lost)));
  EXPECT_THAT(spans(), SizeIs(1)) << "the rest stays where it is";
  auto expected = numbered(1, references(1, full));
  for (const auto& one : numbered(2 * full, references(2 * full, 3 * full))) {
    if (one.first != 2 * full + 5) expected.push_back(one);
  }
  EXPECT_EQ(unsettled(), expected);
  EXPECT_EQ(row_of().index, index_id);
  EXPECT_EQ(row_of().tail, 3 * full);
  settle_all(positions(0, full));
  EXPECT_EQ(spans().needed_of(index_id), 2U);
  append_to_all(1);
  EXPECT_EQ(unsettled().back(), std::pair(std::uint64_t{3 * full}, nth(3 * full)));
}

TEST_F(SharedIndex, IsLeftByQueuesWhoseLastBlockIsLost) {
  start();
  append_to_all(full + 5);
  store(key_of(index_id, 1), "x");
  const auto damage = ok(examine_queue(read(), tables(), id, [](const reference&) { return false; }));
  ASSERT_TRUE(damage);
  write([&](auto& txn) { ok(repair_queue(txn, tables(), *damage)); });
  EXPECT_EQ(row_of().index, 0U) << "nothing can come to that index any more";
  EXPECT_THAT(spans(), SizeIs(0));
  EXPECT_EQ(unsettled(), numbered(0, references(0, full)));
}

TEST_F(SharedIndex, TellsThatABlockIsMissing) {
  start();
  append_to_all(2 * full);
  settle_all({1});
  write([&](auto& txn) { ok(erase_block(txn, tables(), index_id, 0)); });
  EXPECT_THAT(read_block(read(), tables(), id, 0), fails_telling(errc::damaged, "is missing"));
  stop();
  write([&](auto& txn) { ok(erase_block(txn, tables(), index_id, 1)); });
  EXPECT_THAT(read_block(read(), tables(), id, 1), fails_telling(errc::damaged, "is missing"));
}

TEST_F(SharedIndex, IsRepairedAwayWhereItsStateOrTheNoteOfItIsLost) {
  const auto nothing_lost = [](const reference&) { return false; };
  const auto mend = [&](std::uint32_t queue) {
    const auto damage = ok(examine_queue(read(), tables(), queue, nothing_lost));
    ASSERT_TRUE(damage) << queue;
    write([&](auto& txn) { ok(repair_queue(txn, tables(), *damage)); });
    EXPECT_FALSE(ok(examine_queue(read(), tables(), queue, nothing_lost))) << queue;
  };
  start();
  start(8);
  append_to_all(full + 5);
  settle_all({3}, 8);
  store(key_of(8, ~std::uint64_t{0} - 1), "x");
  mend(8);
  EXPECT_THAT(unsettled(8), IsEmpty()) << "nobody knows what it was";
  store(state_key_of(index_id), "x");
  mend(id);
  EXPECT_EQ(unsettled(), numbered(0, references(0, full + 5)));
  EXPECT_THAT(spans(), SizeIs(0));
}

/// Queues that come to an index and leave it, beside a list for each of what it holds.
class SharedIndexWalk : public SharedIndex, public testing::WithParamInterface<std::uint32_t> {
 protected:
  struct expected_entry {
    reference where;
    bool delivered = false;
  };
  using holding = std::map<std::uint64_t, expected_entry>;
  static constexpr std::uint32_t queues = 4;

  std::size_t below(std::size_t n) { return random_() % n; }
  static reference fresh(std::uint64_t n) { return {1, 0, 0, n, 0, static_cast<std::uint32_t>(1 + n % 9)}; }

  void append_shared(std::size_t count) {
    std::vector<reference> entries;
    for (std::size_t i = 0; i < count; ++i) entries.push_back(fresh(next_++));
    for (std::uint32_t q = 0; q < queues; ++q) {
      const queue_row row = row_of(q);
      if (row.index == 0) continue;
      for (std::size_t i = 0; i < count; ++i) held_[q][row.tail + i] = {entries[i]};
    }
    append_these(entries, index_id);
  }
  void append_own(std::uint32_t q, std::size_t count) {
    if (row_of(q).index != 0) return;
    std::vector<reference> entries;
    const std::uint64_t tail = row_of(q).tail;
    for (std::size_t i = 0; i < count; ++i) {
      entries.push_back(fresh(next_++));
      held_[q][tail + i] = {entries.back()};
    }
    append_these(entries, q);
  }
  /// Some of what a queue holds, most of it from the beginning.
  std::vector<std::uint64_t> some_of(std::uint32_t q, std::size_t most) {
    std::vector<std::uint64_t> all;
    const std::size_t odds = below(4) == 0 ? 3 : 1;
    for (const auto& [position, entry] : held_[q]) {
      if (all.size() == most) break;
      if (below(odds) == 0) all.push_back(position);
    }
    return all;
  }
  void settle_some(std::uint32_t q) {
    const auto which = some_of(q, below(150));
    if (which.empty()) return;
    write([&](auto& txn) {
      queue_row row = row_of(q);
      row.bytes -= ok(settle(txn, tables(), q, which)).bytes;
      row.settled += which.size();
      ok(write_row(txn, tables(), q, row));
    });
    for (const std::uint64_t position : which) held_[q].erase(position);
  }
  void change_some(std::uint32_t q) {
    const auto which = some_of(q, 1 + below(5));
    if (which.empty()) return;
    const auto how = below(3);
    write([&](auto& txn) {
      if (how == 0) ok(mark_delivered(txn, tables(), q, which));
      if (how == 1) ok(count_deliveries(txn, tables(), q, which));
      if (how == 2) ok(postpone(txn, tables(), q, which.front(), 99));
    });
    for (const std::uint64_t position : which) {
      expected_entry& entry = held_[q].at(position);
      entry.delivered |= how == 0;
      if (how == 1) ++entry.where.deliveries;
      if (how == 2 && position == which.front()) entry.where.not_before = 99;
    }
  }
  /// Rounds the index up to a block, as it is joined at one alone.
  void come(std::uint32_t q) {
    if (row_of(q).index != 0 || spans(q).full()) return;
    const std::size_t rest = (full - row_of(index_id).tail % full) % full;
    if (rest > 0) append_shared(rest);
    start(q);
  }
  void erase_needless() {
    std::uint64_t needed = row_of(index_id).tail / full;
    for (std::uint32_t q = 0; q < queues; ++q)
      needed = std::min(needed, spans(q).needed_of(index_id).value_or(needed));
    write([&](auto& txn) {
      for (std::uint64_t n = 0; n < needed; ++n) ok(erase_block(txn, tables(), index_id, n));
    });
  }

  void expect_as_held() {
    for (std::uint32_t q = 0; q < queues; ++q) {
      const auto& held = held_[q];
      std::uint64_t bytes = 0;
      for (const auto& [position, entry] : held) {
        bytes += entry.where.bytes;
        const auto b = block_at(position / full, q);
        ASSERT_TRUE(b) << "queue " << q << " position " << position;
        ASSERT_FALSE(b->settled.test(position % full)) << "queue " << q << " position " << position;
        EXPECT_EQ(b->entries.at(position % full), entry.where) << "queue " << q << " position " << position;
        EXPECT_EQ(b->delivered.test(position % full), entry.delivered);
      }
      EXPECT_EQ(unsettled(q).size(), held.size()) << "queue " << q;
      EXPECT_EQ(row_of(q).left(), held.size()) << "queue " << q;
      EXPECT_EQ(row_of(q).bytes, bytes) << "queue " << q;
      EXPECT_FALSE(ok(examine_queue(read(), tables(), q, [](const reference&) { return false; }))) << q;
    }
  }

  std::mt19937 random_{GetParam()};
  std::uint64_t next_ = 0;
  std::map<std::uint32_t, holding> held_;
};

TEST_P(SharedIndexWalk, GivesEachQueueWhatHasComeToIt) {
  for (int step = 0; step < 400; ++step) {
    const auto q = static_cast<std::uint32_t>(below(queues));
    switch (below(12)) {
      case 0:
        come(q);
        break;
      case 1:
        stop(q);
        break;
      case 2:
      case 3:
        append_own(q, 1 + below(80));
        break;
      case 4:
      case 5:
      case 6:
        append_shared(1 + below(100));
        break;
      case 7:
        change_some(q);
        break;
      case 8:
        erase_needless();
        break;
      default:
        settle_some(q);
    }
    if (step % 20 == 0) expect_as_held();
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
  expect_as_held();
}

INSTANTIATE_TEST_SUITE_P(Seeds, SharedIndexWalk, testing::Range(1U, 13U));

}  // namespace
}  // namespace levada::queue::test
