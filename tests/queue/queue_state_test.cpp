#include "queue/queue_state.hpp"

#include "queue_fixture.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <random>

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
    state_->committed(*ok(read_row(read(), tables(), id)));
  }
  std::vector<taken_entry> take(std::size_t most) { return ok(state_->take(environment(), most)); }
  /// The positions of what is ready, taken.
  std::vector<std::uint64_t> take_positions(std::size_t most) { return positions_of(take(most)); }
  static std::vector<std::uint64_t> positions_of(const std::vector<taken_entry>& entries) {
    std::vector<std::uint64_t> all;
    all.reserve(entries.size());
    for (const auto& e : entries) all.push_back(e.position);
    return all;
  }
  static std::vector<bool> flags_of(const std::vector<taken_entry>& entries) {
    std::vector<bool> all;
    all.reserve(entries.size());
    for (const auto& e : entries) all.push_back(e.redelivered);
    return all;
  }

  std::unique_ptr<queue_state> state_;
};

TEST_F(QueueState, HandsOutEntriesInOrderAndNoMoreThanAskedFor) {
  publish(300);
  EXPECT_EQ(take_positions(119), positions(0, 119));
  EXPECT_EQ(take_positions(2), positions(119, 121));
  const auto rest = take(1000);
  EXPECT_EQ(positions_of(rest), positions(121, 300));
  for (const auto& e : rest) {
    EXPECT_EQ(e.where, nth(e.position));
    EXPECT_FALSE(e.redelivered);
  }
  EXPECT_THAT(take(1), IsEmpty());
  EXPECT_THAT(take(0), IsEmpty());
}

TEST_F(QueueState, CountsWhatIsHandedOut) {
  publish(10);
  const auto taken = take(4);
  EXPECT_EQ(state_->unacked, 4U);
  state_->put_back(taken[2]);
  EXPECT_EQ(state_->unacked, 3U);
  take(10);
  EXPECT_EQ(state_->unacked, 10U);
}

TEST_F(QueueState, ShowsEntriesOnlyWhenTheirCommitIsMadeKnown) {
  publish(2);
  append_next(3);
  EXPECT_EQ(take_positions(10), positions(0, 2));
  EXPECT_EQ(state_->row().tail, 2U);
  state_->committed(*ok(read_row(read(), tables(), id)));
  EXPECT_EQ(state_->row().tail, 5U);
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
  append_next(600);
  settle_all(positions(0, 121));    // the first block is gone
  settle_all(positions(240, 360));  // and one in the middle
  settle_all({122, 400, 599});
  open();
  std::vector<std::uint64_t> expected;
  for (std::uint64_t p = 121; p < 599; ++p) {
    if (p != 122 && p != 400 && (p < 240 || p >= 360)) expected.push_back(p);
  }
  EXPECT_EQ(take_positions(10), std::vector<std::uint64_t>(expected.begin(), expected.begin() + 10));
  EXPECT_EQ(take_positions(1000), std::vector<std::uint64_t>(expected.begin() + 10, expected.end()));
}

TEST_F(QueueState, GoesOnBehindABlockThatVanishedAtTheEnd) {
  append_next(240);
  settle_all(positions(120, 240));
  open();
  EXPECT_EQ(take_positions(1000), positions(0, 120));
  publish(2);
  EXPECT_EQ(take_positions(1000), positions(240, 242));
}

TEST_F(QueueState, StartsAtTheTailWhenAllIsSettled) {
  append_next(240);
  settle_all(positions(0, 240));
  open();
  EXPECT_THAT(take(1), IsEmpty());
  publish(1);
  EXPECT_EQ(take_positions(1000), positions(240, 241));
}

TEST_F(QueueState, FlagsWhatWasExposedOrMarkedBeforeItWasLoaded) {
  append_next(6);
  mark_all({1, 4});
  write([&](auto& txn) { ok(write_row(txn, tables(), id, {6, 0, 3})); });
  open();
  EXPECT_EQ(state_->exposed_at_open(), 3U);
  EXPECT_THAT(flags_of(take(6)), ElementsAre(true, true, true, false, true, false));
}

TEST_F(QueueState, DoesNotFlagWhatIsExposedOnlyNow) {
  publish(2);
  state_->committed({2, 0, 2});
  EXPECT_THAT(flags_of(take(2)), ElementsAre(false, false));
  EXPECT_EQ(state_->exposed_at_open(), 0U);
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
  EXPECT_THAT(state_->take(environment(), 1), fails_with(errc::damaged));
  EXPECT_EQ(state_->unacked, 0U);
}

/// What a queue shall be: a list of entries, each in one of three states.
class naive_queue {
 public:
  enum class place { ready, taken, settled };
  struct entry {
    place at = place::ready;
    bool redelivered = false;
  };

  void publish(std::size_t count) { entries_.resize(entries_.size() + count); }
  std::vector<std::pair<std::uint64_t, bool>> take(std::size_t most) {
    std::vector<std::pair<std::uint64_t, bool>> taken;
    for (std::uint64_t p = 0; p < entries_.size() && taken.size() < most; ++p) {
      if (entries_[p].at != place::ready) continue;
      entries_[p].at = place::taken;
      taken.emplace_back(p, entries_[p].redelivered);
    }
    return taken;
  }
  void put_back(std::uint64_t position, bool redelivered) {
    entries_[position] = {place::ready, redelivered};
  }
  void settle(std::uint64_t position) { entries_[position].at = place::settled; }
  /// After a crash everything that may have been handed out counts as delivered.
  void expose_all() {
    for (auto& e : entries_) e.redelivered = true;
  }

 private:
  std::vector<entry> entries_;
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
    // Puts all held entries back, as closing a consumer does.
    const auto give_back = [&] {
      for (auto& e : held) {
        e.redelivered = e.redelivered || below(2) == 0;
        model.put_back(e.position, e.redelivered);
        state_->put_back(e);
      }
      held.clear();
    };
    for (int step = 0; step < 150; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      switch (below(10)) {
        case 0:
        case 1:
        case 2: {
          const std::size_t count = below(3) == 0 ? below(260) : below(9);
          publish(count);
          model.publish(count);
          break;
        }
        case 3:
        case 4:
        case 5: {
          const std::size_t most = below(4) == 0 ? below(400) : below(20);
          const auto got = take(most);
          std::vector<std::pair<std::uint64_t, bool>> seen;
          for (const auto& e : got) {
            seen.emplace_back(e.position, e.redelivered);
            EXPECT_EQ(e.where, nth(e.position));
          }
          ASSERT_EQ(seen, model.take(most));
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
          std::sort(done.begin(), done.end());
          state_->unacked -= done.size();
          settle_all(done);
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
          write([&](auto& txn) { ok(write_row(txn, tables(), id, row)); });
          open();
          break;
        }
        default:
          break;
      }
      ASSERT_EQ(state_->unacked, held.size());
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
