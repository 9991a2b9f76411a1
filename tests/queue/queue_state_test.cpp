#include "queue/queue_state.hpp"

#include "queue_fixture.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <random>

namespace levada::queue {

// Found by argument-dependent lookup in expectations.
inline bool operator==(const amount& a, const amount& b) {
  return a.messages == b.messages && a.bytes == b.bytes;
}
inline void PrintTo(const amount& a, std::ostream* out) {
  *out << a.messages << " messages, " << a.bytes << " bytes";
}

}  // namespace levada::queue

namespace levada::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A queue whose stored form is changed as the bus's commits would change it.
class QueueState : public queue_fixture {
 protected:
  QueueState() { open(); }

  /// As after a restart.
  void open() {
    state_ = std::make_unique<queue_state>(id, "work", false);
    ok(state_->load(read(), tables()));
  }
  void publish(std::size_t count) {
    append_next(count);
    state_->committed(row_of(), {});
  }
  /// Publishes an entry for each of these times of expiry; 0: never.
  void publish_expiring(const std::vector<std::int64_t>& times) {
    std::vector<reference> entries = references(row_of().tail, row_of().tail + times.size());
    for (std::size_t i = 0; i < times.size(); ++i) entries[i].expires = times[i];
    append_these(entries);
    state_->committed(row_of(), {});
  }
  /// Settles what has been taken or condemned, in a commit.
  void settle(std::vector<std::uint64_t> which, std::uint64_t condemned = 0) {
    std::sort(which.begin(), which.end());
    queue_row row = state_->row();
    const amount settled{which.size(), settle_all(which)};
    row.settled += settled.messages;
    row.bytes -= settled.bytes;
    write([&](auto& txn) { ok(write_row(txn, tables(), id, row)); });
    state_->committed(row, settled, condemned);
  }
  void settle_condemned(const std::vector<std::uint64_t>& which) { settle(which, which.size()); }
  /// Nothing expires in the fixture's entries before 2'000'000.
  std::vector<taken_entry> take(std::size_t most, std::int64_t now = 0) {
    return ok(state_->take(environment(), most, now));
  }
  /// The positions of what is ready, taken.
  std::vector<std::uint64_t> take_positions(std::size_t most, std::int64_t now = 0) {
    return positions_of(take(most, now));
  }
  /// When the head will expire, once what has expired is condemned.
  std::optional<std::int64_t> condemn_at_head(std::int64_t now) {
    return ok(state_->condemn_at_head(environment(), now));
  }
  /// The positions of what is condemned, to be settled.
  std::vector<std::uint64_t> take_condemned(std::size_t most) {
    return positions_of(state_->take_condemned(most));
  }
  std::vector<reference> look_at(std::size_t most, std::int64_t now = 0) {
    return ok(state_->look_at(environment(), most, now));
  }
  static std::vector<std::uint64_t> positions_of(const std::vector<taken_entry>& entries) {
    std::vector<std::uint64_t> all;
    all.reserve(entries.size());
    for (const auto& e : entries) all.push_back(e.position);
    return all;
  }
  static std::vector<std::uint64_t> positions_of(const std::vector<condemned_entry>& entries) {
    std::vector<std::uint64_t> all;
    all.reserve(entries.size());
    for (const auto& c : entries) {
      EXPECT_EQ(c.why, dead_letter_reason::expired);
      all.push_back(c.entry.position);
    }
    return all;
  }
  /// The offsets of references, less those of the first position: their positions.
  static std::vector<std::uint64_t> positions_of(const std::vector<reference>& entries) {
    std::vector<std::uint64_t> all;
    all.reserve(entries.size());
    for (const auto& e : entries) all.push_back(e.offset - nth(0).offset);
    return all;
  }
  static std::vector<bool> flags_of(const std::vector<taken_entry>& entries) {
    std::vector<bool> all;
    all.reserve(entries.size());
    for (const auto& e : entries) all.push_back(e.redelivered);
    return all;
  }
  /// As many messages as these positions, with their bytes.
  static amount amount_of(const std::vector<std::uint64_t>& which) {
    amount sum;
    for (const std::uint64_t p : which) {
      ++sum.messages;
      sum.bytes += nth(p).bytes;
    }
    return sum;
  }

  std::unique_ptr<queue_state> state_;
};

TEST_F(QueueState, HandsOutEntriesInOrderAndNoMoreThanAskedFor) {
  publish(5 * block_entries / 2);
  EXPECT_EQ(take_positions(block_entries - 1), positions(0, block_entries - 1));
  EXPECT_EQ(take_positions(2), positions(block_entries - 1, block_entries + 1));
  const auto rest = take(1000);
  EXPECT_EQ(positions_of(rest), positions(block_entries + 1, 5 * block_entries / 2));
  for (const auto& e : rest) {
    EXPECT_EQ(e.where, nth(e.position));
    EXPECT_FALSE(e.redelivered);
  }
  EXPECT_THAT(take(1), IsEmpty());
  EXPECT_THAT(take(0), IsEmpty());
}

TEST_F(QueueState, CountsWhatIsHandedOut) {
  EXPECT_EQ(state_->ready(), amount{});
  publish(10);
  EXPECT_EQ(state_->ready(), amount_of(positions(0, 10)));
  EXPECT_EQ(state_->unacked(), 0U);
  const auto taken = take(4);
  EXPECT_EQ(state_->ready(), amount_of(positions(4, 10)));
  EXPECT_EQ(state_->unacked(), 4U);
  state_->put_back(taken[2]);
  EXPECT_EQ(state_->ready(), amount_of({2, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(state_->unacked(), 3U);
  take(10);
  EXPECT_EQ(state_->ready(), amount{});
  EXPECT_EQ(state_->unacked(), 10U);
}

TEST_F(QueueState, CountsWhatIsSettledWithItsCommit) {
  publish(10);
  take(4);
  settle({1, 3});
  EXPECT_EQ(state_->unacked(), 2U);
  EXPECT_EQ(state_->ready(), amount_of(positions(4, 10)));
  publish(2);
  EXPECT_EQ(state_->unacked(), 2U) << "a commit that settles nothing";
  EXPECT_EQ(state_->ready(), amount_of(positions(4, 12)));
  settle({0, 2});
  EXPECT_EQ(state_->unacked(), 0U);
  EXPECT_EQ(state_->ready(), amount_of(positions(4, 12)));
  take(100);
  settle(positions(4, 12));
  EXPECT_EQ(state_->row().bytes, 0U);
  EXPECT_EQ(state_->ready(), amount{});
  EXPECT_EQ(state_->unacked(), 0U);
}

TEST_F(QueueState, CountsAllThatIsLeftAsReadyWhenItIsLoaded) {
  publish(block_entries + 10);
  take(20);
  settle({0, 7});
  open();
  auto left = positions(8, block_entries + 10);
  for (std::uint64_t p = 1; p < 7; ++p) left.push_back(p);
  EXPECT_EQ(state_->ready(), amount_of(left));
  EXPECT_EQ(state_->unacked(), 0U);
}

TEST_F(QueueState, ShowsEntriesOnlyWhenTheirCommitIsMadeKnown) {
  publish(2);
  append_next(3);
  EXPECT_EQ(take_positions(10), positions(0, 2));
  EXPECT_EQ(state_->row().tail, 2U);
  EXPECT_EQ(state_->ready(), amount{});
  state_->committed(row_of(), {});
  EXPECT_EQ(state_->row().tail, 5U);
  EXPECT_EQ(state_->ready(), amount_of({2, 3, 4}));
  EXPECT_EQ(take_positions(10), positions(2, 5)) << "they stand in the block that was read before";
}

TEST_F(QueueState, GoesOnOverEveryBorderAsEntriesCome) {
  std::vector<std::uint64_t> seen;
  for (int i = 0; i < 50; ++i) {
    publish(static_cast<std::size_t>(i % 17));
    const auto some = take_positions(static_cast<std::size_t>(i % 13));
    seen.insert(seen.end(), some.begin(), some.end());
  }
  const auto rest = take_positions(1000);
  seen.insert(seen.end(), rest.begin(), rest.end());
  EXPECT_EQ(seen, positions(0, state_->row().tail));
}

TEST_F(QueueState, ReturnsEntriesToTheirOriginalPosition) {
  publish(6);
  const auto taken = take(4);
  state_->put_back(taken[3]);
  state_->put_back(taken[1]);
  EXPECT_EQ(take_positions(1), (std::vector<std::uint64_t>{1})) << "before everything that is newer";
  state_->put_back(taken[0]);
  EXPECT_EQ(take_positions(10), (std::vector<std::uint64_t>{0, 3, 4, 5}));
}

TEST_F(QueueState, HandsReturnedEntriesOutWithTheFlagThatTheyCameWith) {
  publish(3);
  auto taken = take(3);
  taken[1].redelivered = true;
  for (const auto& e : taken) state_->put_back(e);
  const auto again = take(3);
  EXPECT_THAT(flags_of(again), ElementsAre(false, true, false));
  EXPECT_EQ(again[1].where, nth(1));
}

TEST_F(QueueState, TellsWhichReturnedEntriesWereDelivered) {
  publish(5);
  auto taken = take(5);
  taken[4].redelivered = taken[1].redelivered = true;
  state_->put_back(taken[4]);
  state_->put_back(taken[0]);
  state_->put_back(taken[1]);
  EXPECT_THAT(state_->redelivered_positions(), ElementsAre(1, 4));
}

TEST_F(QueueState, PassesOverWhatWasSettledBeforeItWasLoaded) {
  append_next(5 * block_entries);
  settle_all(positions(0, block_entries + 1));                  // the first block is gone
  settle_all(positions(2 * block_entries, 3 * block_entries));  // and one in the middle
  settle_all({block_entries + 2, 3 * block_entries + 20, 5 * block_entries - 1});
  open();
  std::vector<std::uint64_t> expected;
  for (std::uint64_t p = block_entries + 1; p < 5 * block_entries - 1; ++p) {
    if (p == block_entries + 2 || p == 3 * block_entries + 20 || p / block_entries == 2) continue;
    expected.push_back(p);
  }
  EXPECT_EQ(take_positions(10), std::vector<std::uint64_t>(expected.begin(), expected.begin() + 10));
  EXPECT_EQ(take_positions(1000), std::vector<std::uint64_t>(expected.begin() + 10, expected.end()));
}

TEST_F(QueueState, GoesOnBehindABlockThatVanishedAtTheEnd) {
  append_next(2 * block_entries);
  settle_all(positions(block_entries, 2 * block_entries));
  open();
  EXPECT_EQ(take_positions(1000), positions(0, block_entries));
  publish(2);
  EXPECT_EQ(take_positions(1000), positions(2 * block_entries, 2 * block_entries + 2));
}

TEST_F(QueueState, StartsAtTheTailWhenAllIsSettled) {
  append_next(2 * block_entries);
  settle_all(positions(0, 2 * block_entries));
  open();
  EXPECT_THAT(take(1), IsEmpty());
  publish(1);
  EXPECT_EQ(take_positions(1000), positions(2 * block_entries, 2 * block_entries + 1));
}

TEST_F(QueueState, FlagsWhatWasExposedOrMarkedBeforeItWasLoaded) {
  append_next(6);
  mark_all({1, 4});
  write([&](auto& txn) { ok(write_row(txn, tables(), id, {6, 0, 3, bytes_of(references(0, 6))})); });
  open();
  queue_row row{6, 0, 6, 0};
  EXPECT_TRUE(state_->take_exposed_back(row));
  EXPECT_EQ(row.exposed, 3U);
  EXPECT_FALSE(state_->take_exposed_back(row)) << "it is there already";
  EXPECT_THAT(flags_of(take(6)), ElementsAre(true, true, true, false, true, false));
}

TEST_F(QueueState, DoesNotFlagWhatIsExposedOnlyNow) {
  publish(2);
  state_->committed({2, 0, 2, bytes_of(references(0, 2))}, {});
  EXPECT_THAT(flags_of(take(2)), ElementsAre(false, false));
  queue_row row = state_->row();
  EXPECT_TRUE(state_->take_exposed_back(row));
  EXPECT_EQ(row.exposed, 0U);
}

TEST_F(QueueState, RefusesToLoadADamagedState) {
  append_next(1);
  std::string changed = stored(state_key_of(id));
  changed[9] = static_cast<char>(changed[9] ^ 4);
  store(state_key_of(id), changed);
  queue_state fresh{id, "work", false};
  EXPECT_THAT(fresh.load(read(), tables()), fails_with(errc::damaged));
}

TEST_F(QueueState, FailsAtADamagedBlock) {
  publish(1);
  std::string changed = stored(key_of(id, 0));
  changed.back() = static_cast<char>(changed.back() ^ 1);
  store(key_of(id, 0), changed);
  EXPECT_THAT(state_->take(environment(), 1, 0), fails_with(errc::damaged));
  EXPECT_THAT(state_->condemn_at_head(environment(), 0), fails_with(errc::damaged));
  EXPECT_THAT(state_->look_at(environment(), 1, 0), fails_with(errc::damaged));
  EXPECT_EQ(state_->unacked(), 0U);
  EXPECT_EQ(state_->ready(), amount_of({0}));
}

// Entries that were taken before the damage was met used to be lost until the store was opened anew.
TEST_F(QueueState, HandsOutWhatStandsBeforeADamagedBlock) {
  publish(block_entries + 1);
  std::string changed = stored(key_of(id, 1));
  changed.back() = static_cast<char>(changed.back() ^ 1);
  store(key_of(id, 1), changed);
  EXPECT_EQ(take_positions(1000), positions(0, block_entries));
  EXPECT_THAT(state_->take(environment(), 1, 0), fails_with(errc::damaged));
  EXPECT_EQ(state_->unacked(), block_entries);
}

// What expires

TEST_F(QueueState, PassesOverWhatHasExpiredAndCondemnsItInOrder) {
  publish_expiring({10, 30, 20, 0, 15, 21});
  EXPECT_EQ(take_positions(2, 20), (std::vector<std::uint64_t>{1, 3}));
  EXPECT_THAT(take_condemned(10), ElementsAre(0, 2)) << "position 4 has not come to the head";
  EXPECT_EQ(take_positions(10, 20), (std::vector<std::uint64_t>{5}));
  EXPECT_THAT(take_condemned(10), ElementsAre(4));
  EXPECT_FALSE(state_->has_condemned());
}

TEST_F(QueueState, CondemnsNothingWhenNothingIsAskedFor) {
  publish_expiring({10});
  EXPECT_THAT(take(0, 20), IsEmpty());
  EXPECT_FALSE(state_->has_condemned());
}

TEST_F(QueueState, CondemnsWhatExpiredWhileItWasHandedOutWhenItComesBack) {
  publish_expiring({10, 0, 30});
  const auto taken = take(3, 9);
  for (const auto& e : taken) state_->put_back(e);
  EXPECT_EQ(take_positions(10, 10), (std::vector<std::uint64_t>{1, 2}));
  const auto condemned = state_->take_condemned(10);
  ASSERT_EQ(condemned.size(), 1U);
  EXPECT_EQ(condemned[0].entry.position, 0U);
  EXPECT_EQ(condemned[0].entry.where.expires, 10);
  EXPECT_EQ(condemned[0].entry.where.bytes, nth(0).bytes);
  EXPECT_EQ(condemned[0].why, dead_letter_reason::expired);
}

TEST_F(QueueState, CondemnsAtTheHeadAloneAndTellsWhenTheNextExpires) {
  EXPECT_EQ(condemn_at_head(100), std::nullopt) << "it is empty";
  publish_expiring({10, 20, 35, 12, 0, 11});
  EXPECT_EQ(condemn_at_head(9), 10);
  EXPECT_FALSE(state_->has_condemned());
  EXPECT_EQ(condemn_at_head(10), 20) << "at that very time it has expired";
  EXPECT_THAT(take_condemned(10), ElementsAre(0));
  EXPECT_EQ(condemn_at_head(34), 35);
  EXPECT_THAT(take_condemned(10), ElementsAre(1)) << "position 3 waits behind the head";
  EXPECT_EQ(condemn_at_head(35), std::nullopt) << "the head never expires";
  EXPECT_THAT(take_condemned(10), ElementsAre(2, 3));
  EXPECT_EQ(take_positions(10, 35), (std::vector<std::uint64_t>{4}));
  EXPECT_THAT(take_condemned(10), ElementsAre(5));
  EXPECT_EQ(condemn_at_head(35), std::nullopt);
  EXPECT_FALSE(state_->has_condemned());
}

TEST_F(QueueState, TakesReturnedEntriesForItsHead) {
  publish_expiring({30, 10, 40});
  const auto taken = take(2, 5);
  EXPECT_EQ(condemn_at_head(5), 40);
  state_->put_back(taken[1]);
  EXPECT_EQ(condemn_at_head(5), 10);
  state_->put_back(taken[0]);
  EXPECT_EQ(condemn_at_head(20), 30);
  EXPECT_FALSE(state_->has_condemned());
  EXPECT_EQ(condemn_at_head(50), std::nullopt);
  EXPECT_THAT(take_condemned(10), ElementsAre(0, 1, 2));
}

TEST_F(QueueState, CondemnsOverTheBordersOfBlocks) {
  publish_expiring(std::vector<std::int64_t>(2 * block_entries + 5, 10));
  EXPECT_EQ(condemn_at_head(10), std::nullopt);
  EXPECT_EQ(take_condemned(1000), positions(0, 2 * block_entries + 5));
}

TEST_F(QueueState, CountsTheCondemnedNeitherAsReadyNorAsHandedOut) {
  publish_expiring({10, 0, 10, 0});
  EXPECT_EQ(state_->ready(), amount_of(positions(0, 4)));
  EXPECT_EQ(take_positions(1, 20), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(state_->ready(), amount_of({2, 3})) << "what has expired counts until it comes to the head";
  EXPECT_EQ(state_->unacked(), 1U);
  condemn_at_head(20);
  EXPECT_EQ(state_->ready(), amount_of({3}));
  EXPECT_EQ(state_->unacked(), 1U);
  settle_condemned(take_condemned(10));
  EXPECT_EQ(state_->ready(), amount_of({3}));
  EXPECT_EQ(state_->unacked(), 1U);
  EXPECT_EQ(state_->row().bytes, nth(1).bytes + nth(3).bytes);
  settle({1});
  EXPECT_EQ(state_->ready(), amount_of({3}));
  EXPECT_EQ(state_->unacked(), 0U);
}

TEST_F(QueueState, GivesTheCondemnedInSlices) {
  publish_expiring(std::vector<std::int64_t>(5, 10));
  EXPECT_THAT(take_condemned(2), IsEmpty());
  condemn_at_head(10);
  EXPECT_THAT(take_condemned(2), ElementsAre(0, 1));
  EXPECT_TRUE(state_->has_condemned());
  EXPECT_THAT(take_condemned(0), IsEmpty());
  EXPECT_THAT(take_condemned(3), ElementsAre(2, 3, 4));
  EXPECT_FALSE(state_->has_condemned());
  EXPECT_THAT(take_condemned(2), IsEmpty());
}

TEST_F(QueueState, CondemnsAgainBeforeWhatHasBeenCondemnedSince) {
  publish_expiring({10, 10, 10, 20, 20});
  condemn_at_head(10);
  const auto first = state_->take_condemned(2);
  condemn_at_head(20);
  state_->condemn_again(first);
  EXPECT_TRUE(state_->has_condemned());
  EXPECT_EQ(state_->unacked(), 0U);
  EXPECT_EQ(state_->ready(), amount{});
  const auto again = state_->take_condemned(1000);
  EXPECT_EQ(positions_of(again), positions(0, 5));
  for (const auto& c : again) EXPECT_EQ(c.entry.where.offset, nth(c.entry.position).offset);
  settle_condemned(positions_of(again));
  EXPECT_EQ(state_->unacked(), 0U);
  EXPECT_EQ(state_->ready(), amount{});
  EXPECT_EQ(state_->row().settled, 5U);
  EXPECT_EQ(state_->row().bytes, 0U);
}

TEST_F(QueueState, CountsTheCondemnedNotAsHandedOutWhileTheyAreSettled) {
  publish_expiring({10, 10, 0});
  condemn_at_head(10);
  const auto slice = state_->take_condemned(10);
  EXPECT_EQ(state_->unacked(), 0U);
  take(1, 10);
  EXPECT_EQ(state_->unacked(), 1U);
  settle_condemned(positions_of(slice));
  EXPECT_EQ(state_->unacked(), 1U);
}

TEST_F(QueueState, CondemnsWhatHasComeBackTooOften) {
  append_next(3);
  state_ = std::make_unique<queue_state>(id, "work", false, 1);
  ok(state_->load(read(), tables()));
  auto first = take(1).front();
  first.where.deliveries = 1;
  state_->put_back(first);
  EXPECT_FALSE(state_->has_condemned()) << "once it may";
  auto again = take(1).front();
  EXPECT_EQ(again.position, 0U);
  again.where.deliveries = 2;
  again.counted = true;
  state_->put_back(again);
  EXPECT_FALSE(state_->has_condemned()) << "it was not handed out";
  again = take(1).front();
  again.counted = false;
  state_->put_back(again);
  const auto condemned = state_->take_condemned(10);
  ASSERT_EQ(condemned.size(), 1U);
  EXPECT_EQ(condemned[0].why, dead_letter_reason::delivery_limit);
  EXPECT_EQ(take_positions(10), (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(QueueState, HandsNothingOutThatIsCondemned) {
  publish_expiring({10, 0});
  condemn_at_head(10);
  EXPECT_EQ(take_positions(10, 5), (std::vector<std::uint64_t>{1})) << "even if the clock is set back";
}

TEST_F(QueueState, FindsWhatWasCondemnedAndNotSettledAgainWhenItIsLoaded) {
  publish_expiring({10, 0, 10});
  take(10, 20);
  open();
  EXPECT_EQ(state_->ready(), amount_of(positions(0, 3)));
  EXPECT_EQ(take_positions(10, 20), (std::vector<std::uint64_t>{1}));
  EXPECT_THAT(take_condemned(10), ElementsAre(0, 2));
}

// Looking without taking

TEST_F(QueueState, ShowsWhatIsReadyInOrderAndLeavesItThere) {
  EXPECT_THAT(look_at(10), IsEmpty());
  publish(2 * block_entries + 9);
  EXPECT_THAT(look_at(0), IsEmpty());
  EXPECT_EQ(look_at(1), references(0, 1));
  EXPECT_EQ(look_at(block_entries + 2), references(0, block_entries + 2));
  EXPECT_EQ(look_at(1000), references(0, 2 * block_entries + 9));
  EXPECT_EQ(state_->ready(), amount_of(positions(0, 2 * block_entries + 9)));
  EXPECT_EQ(state_->unacked(), 0U);
  EXPECT_EQ(take_positions(1000), positions(0, 2 * block_entries + 9));
  EXPECT_THAT(look_at(10), IsEmpty());
}

TEST_F(QueueState, ShowsReturnedEntriesFirst) {
  publish(6);
  const auto taken = take(4);
  state_->put_back(taken[3]);
  state_->put_back(taken[1]);
  EXPECT_THAT(positions_of(look_at(10)), ElementsAre(1, 3, 4, 5));
  EXPECT_THAT(positions_of(look_at(1)), ElementsAre(1));
  EXPECT_THAT(positions_of(look_at(3)), ElementsAre(1, 3, 4));
  EXPECT_EQ(take_positions(10), (std::vector<std::uint64_t>{1, 3, 4, 5})) << "all stays as it was";
}

TEST_F(QueueState, ShowsNothingBeyondTheTailThatIsMadeKnown) {
  publish(2);
  append_next(3);
  EXPECT_EQ(look_at(10), references(0, 2));
  take(2);
  EXPECT_THAT(look_at(10), IsEmpty());
  state_->committed(row_of(), {});
  EXPECT_EQ(look_at(10), references(2, 5));
}

TEST_F(QueueState, ShowsNothingThatHasExpiredAndDoesNotCondemnIt) {
  publish_expiring({10, 30, 20, 0, 15, 0});
  const auto taken = take(2, 5);
  for (const auto& e : taken) state_->put_back(e);
  EXPECT_THAT(positions_of(look_at(10, 5)), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(positions_of(look_at(10, 20)), ElementsAre(1, 3, 5)) << "at that very time it has expired";
  EXPECT_THAT(positions_of(look_at(2, 20)), ElementsAre(1, 3)) << "what is left out does not count";
  EXPECT_FALSE(state_->has_condemned());
  EXPECT_EQ(state_->ready(), amount_of(positions(0, 6)));
  EXPECT_EQ(take_positions(10, 5), positions(0, 6));
}

TEST_F(QueueState, ShowsNothingThatIsSettledCondemnedOrHandedOut) {
  publish_expiring({0, 0, 10, 10, 0, 0, 0});
  take(2);
  settle({1});
  condemn_at_head(10);
  EXPECT_THAT(positions_of(look_at(10)), ElementsAre(4, 5, 6));
  settle_condemned(take_condemned(1));
  EXPECT_THAT(positions_of(look_at(10)), ElementsAre(4, 5, 6));
  settle_all({5});  // as before a restart
  EXPECT_THAT(positions_of(look_at(10)), ElementsAre(4, 6));
}

/// What a queue shall be: a list of entries, each in one of four states.
class naive_queue {
 public:
  enum class place { ready, taken, condemned, settled };
  struct entry {
    reference where;
    place at = place::ready;
    bool redelivered = false;
  };

  void publish(const std::vector<reference>& entries) {
    for (const reference& where : entries) entries_.push_back({where});
  }
  std::vector<std::pair<std::uint64_t, bool>> take(std::size_t most, std::int64_t now) {
    std::vector<std::pair<std::uint64_t, bool>> taken;
    for (std::uint64_t p = 0; p < entries_.size() && taken.size() < most; ++p) {
      if (entries_[p].at != place::ready) continue;
      if (has_expired(p, now)) {
        condemn(p);
        continue;
      }
      entries_[p].at = place::taken;
      taken.emplace_back(p, entries_[p].redelivered);
    }
    return taken;
  }
  std::optional<std::int64_t> condemn_at_head(std::int64_t now) {
    for (std::uint64_t p = 0; p < entries_.size(); ++p) {
      if (entries_[p].at != place::ready) continue;
      const std::int64_t expires = entries_[p].where.expires;
      if (!has_expired(p, now)) return expires == 0 ? std::nullopt : std::optional{expires};
      condemn(p);
    }
    return std::nullopt;
  }
  [[nodiscard]] const std::vector<std::uint64_t>& condemned() const { return condemned_; }
  [[nodiscard]] std::vector<reference> look_at(std::size_t most, std::int64_t now) const {
    std::vector<reference> found;
    for (std::uint64_t p = 0; p < entries_.size() && found.size() < most; ++p) {
      if (entries_[p].at == place::ready && !has_expired(p, now)) found.push_back(entries_[p].where);
    }
    return found;
  }
  void put_back(std::uint64_t position, bool redelivered) {
    entries_[position].at = place::ready;
    entries_[position].redelivered = redelivered;
  }
  void settle(std::uint64_t position) {
    entries_[position].at = place::settled;
    std::erase(condemned_, position);
  }
  /// After a crash everything that may have been handed out counts as delivered.
  void expose_all() {
    for (auto& e : entries_) e.redelivered = true;
  }
  /// What was condemned and not settled, nobody remembers.
  void reopen() {
    for (const std::uint64_t p : condemned_) entries_[p].at = place::ready;
    condemned_.clear();
  }

  [[nodiscard]] const reference& at(std::uint64_t position) const { return entries_[position].where; }
  [[nodiscard]] amount ready() const {
    amount sum;
    for (const auto& e : entries_) {
      if (e.at != place::ready) continue;
      ++sum.messages;
      sum.bytes += e.where.bytes;
    }
    return sum;
  }

 private:
  [[nodiscard]] bool has_expired(std::uint64_t position, std::int64_t now) const {
    const std::int64_t expires = entries_[position].where.expires;
    return expires != 0 && expires <= now;
  }
  void condemn(std::uint64_t position) {
    entries_[position].at = place::condemned;
    condemned_.push_back(position);
  }

  std::vector<entry> entries_;
  std::vector<std::uint64_t> condemned_;  // in this order
};

class QueueStateModel : public QueueState {
 protected:
  void run(unsigned seed) {
    std::mt19937 random{seed};
    const auto below = [&](std::size_t n) {
      return std::uniform_int_distribution<std::size_t>{0, n - 1}(random);
    };
    naive_queue model;
    std::vector<taken_entry> held;
    std::int64_t now = 1;
    // Puts all held entries back, as closing a consumer does.
    const auto give_back = [&] {
      for (auto& e : held) {
        e.redelivered = e.redelivered || below(2) == 0;
        model.put_back(e.position, e.redelivered);
        state_->put_back(e);
      }
      held.clear();
    };
    for (int step = 0; step < 200; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      if (below(3) == 0) now += static_cast<std::int64_t>(below(30));
      switch (below(14)) {
        case 0:
        case 1:
        case 2: {
          std::size_t count = below(3) == 0 ? below(130) : below(9);
          const std::uint64_t tail = row_of().tail;
          auto entries = references(tail, tail + count);
          for (reference& e : entries) {
            e.expires = below(3) == 0 ? 0 : now + static_cast<std::int64_t>(below(100));
            e.bytes = static_cast<std::uint32_t>(below(1000));
          }
          append_these(entries);
          state_->committed(row_of(), {});
          model.publish(entries);
          break;
        }
        case 3:
        case 4:
        case 5: {
          const std::size_t most = below(4) == 0 ? below(200) : below(20);
          const auto got = take(most, now);
          std::vector<std::pair<std::uint64_t, bool>> seen;
          for (const auto& e : got) {
            seen.emplace_back(e.position, e.redelivered);
            EXPECT_EQ(e.where, model.at(e.position));
          }
          ASSERT_EQ(seen, model.take(most, now));
          held.insert(held.end(), got.begin(), got.end());
          break;
        }
        case 6: {
          for (std::size_t n = below(6); n > 0 && !held.empty(); --n) {
            const auto which = held.begin() + static_cast<std::ptrdiff_t>(below(held.size()));
            which->redelivered = which->redelivered || below(3) != 0;
            model.put_back(which->position, which->redelivered);
            state_->put_back(*which);
            held.erase(which);
          }
          break;
        }
        case 7:
        case 8: {
          std::shuffle(held.begin(), held.end(), random);
          std::vector<std::uint64_t> done;
          for (std::size_t n = below(held.size() + 1); n > 0; --n) {
            done.push_back(held.back().position);
            model.settle(held.back().position);
            held.pop_back();
          }
          settle(done);
          break;
        }
        case 9: {
          if (below(4) != 0) break;
          queue_row row = state_->row();
          if (below(2) == 0) {  // in good order
            give_back();
            mark_all(state_->redelivered_positions());
          } else {  // by the process's death
            for (const auto& e : held) model.put_back(e.position, true);
            held.clear();
            model.expose_all();
            row.exposed = row.tail;
          }
          model.reopen();
          write([&](auto& txn) { ok(write_row(txn, tables(), id, row)); });
          open();
          break;
        }
        case 10: {
          ASSERT_EQ(condemn_at_head(now), model.condemn_at_head(now));
          break;
        }
        case 11:
        case 12: {
          const auto slice = state_->take_condemned(below(40));
          for (std::size_t i = 0; i < slice.size(); ++i) {
            ASSERT_EQ(slice[i].entry.position, model.condemned().at(i));
            EXPECT_EQ(slice[i].entry.where, model.at(slice[i].entry.position));
          }
          if (below(3) == 0) {  // the commit fails
            state_->condemn_again(slice);
            break;
          }
          for (const auto& c : slice) model.settle(c.entry.position);
          settle_condemned(positions_of(slice));
          break;
        }
        case 13: {
          const std::size_t most = below(100);
          ASSERT_EQ(look_at(most, now), model.look_at(most, now));
          break;
        }
        default:
          break;
      }
      ASSERT_EQ(state_->unacked(), held.size());
      ASSERT_EQ(state_->ready(), model.ready());
      ASSERT_EQ(state_->has_condemned(), !model.condemned().empty());
    }
  }
};

TEST_F(QueueStateModel, BehavesLikeAPlainListUnderRandomOperations) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    write([&](auto& txn) { ok(erase_some(txn, tables(), id, 1'000'000)); });
    open();
    run(seed);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace levada::queue::test
