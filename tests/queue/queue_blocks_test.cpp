#include "queue/queue_blocks.hpp"

#include "queue_fixture.hpp"

#include <limits>
#include <numeric>

namespace levada::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class QueueBlocks : public queue_fixture {
 protected:
  std::vector<reference> entries_of_all_blocks(std::uint64_t blocks) {
    std::vector<reference> all;
    for (std::uint64_t n = 0; n < blocks; ++n) {
      const auto b = block_at(n);
      if (b) all.insert(all.end(), b->entries.begin(), b->entries.end());
    }
    return all;
  }
  [[nodiscard]] std::uint64_t tail() const { return ok(read_row(read(), tables(), id)).value().tail; }
  /// Every way in which reading the queue fails names the queue and says that it is damaged.
  template <class T>
  static void expect_damaged(const result<T>& r, const char* what) {
    ASSERT_THAT(r, fails_with(errc::damaged));
    EXPECT_THAT(r.error().message(), HasSubstr("queue 7:"));
    EXPECT_THAT(r.error().message(), HasSubstr(what));
  }
};

TEST_F(QueueBlocks, HoldNothingAtFirst) {
  EXPECT_EQ(ok(read_row(read(), tables(), id)), std::nullopt);
  EXPECT_FALSE(block_at(0));
  EXPECT_EQ(ok(first_block(read(), tables(), id, 0)), std::nullopt);
  EXPECT_THAT(ok(stored_queues(read(), tables())), IsEmpty());
}

TEST_F(QueueBlocks, AreFilledWith120EntriesEach) {
  append_next(119);
  append_next(1);
  append_next(1);
  append_next(250);
  EXPECT_EQ(tail(), 371U);
  std::vector<std::size_t> sizes;
  for (std::uint64_t n = 0; n < 5; ++n) {
    const auto b = block_at(n);
    sizes.push_back(b ? b->entries.size() : 0);
    EXPECT_EQ(b ? b->number : n, n);
  }
  EXPECT_THAT(sizes, ElementsAre(120, 120, 120, 11, 0));
  EXPECT_EQ(entries_of_all_blocks(4), references(0, 371));
}

TEST_F(QueueBlocks, TakeWhatIsAppendedOnEachSideOfTheirBorders) {
  std::uint32_t queue = 100;
  for (const std::size_t first : {1U, 2U, 119U, 120U, 121U, 239U, 240U, 241U}) {
    for (const std::size_t second : {1U, 119U, 120U, 121U, 240U, 300U}) {
      ++queue;
      append_next(first, queue);
      append_next(second, queue);
      std::vector<reference> got;
      for (std::uint64_t n = 0; n * block_entries < first + second; ++n) {
        const auto b = block_at(n, queue);
        ASSERT_TRUE(b) << first << " + " << second << ": block " << n;
        got.insert(got.end(), b->entries.begin(), b->entries.end());
      }
      EXPECT_EQ(got, references(0, first + second)) << first << " + " << second;
    }
  }
}

TEST_F(QueueBlocks, AreLeftAloneByAppendingNothing) {
  append_next(0);
  EXPECT_EQ(tail(), 0U);
  EXPECT_FALSE(block_at(0));
  append_next(120);
  append_next(0);
  EXPECT_EQ(tail(), 120U);
  EXPECT_FALSE(block_at(1));
}

TEST_F(QueueBlocks, KeepSettledAndDeliveredBitsApart) {
  append_next(130);
  settle_all({0, 63, 64, 119, 121});
  mark_all({1, 62, 63, 65, 118, 129});
  const auto first = *block_at(0);
  const auto second = *block_at(1);
  for (std::uint64_t p = 0; p < 120; ++p) {
    EXPECT_EQ(first.settled.test(p), p == 0 || p == 63 || p == 64 || p == 119) << p;
    EXPECT_EQ(first.delivered.test(p), p == 1 || p == 62 || p == 63 || p == 65 || p == 118) << p;
  }
  EXPECT_EQ(second.settled, std::bitset<128>{1U << 1});
  EXPECT_EQ(second.delivered, std::bitset<128>{1U << 9});
}

TEST_F(QueueBlocks, KeepTheirBitsWhenEntriesAreAppended) {
  append_next(70);
  settle_all({3, 69});
  mark_all({0, 68});
  append_next(50);
  const auto b = *block_at(0);
  EXPECT_EQ(b.entries, references(0, 120));
  EXPECT_EQ(b.settled.count(), 2U);
  EXPECT_TRUE(b.settled.test(3) && b.settled.test(69));
  EXPECT_EQ(b.delivered.count(), 2U);
  EXPECT_TRUE(b.delivered.test(0) && b.delivered.test(68));
}

TEST_F(QueueBlocks, VanishWhenAllTheirEntriesAreSettled) {
  append_next(360);
  settle_all(positions(120, 239));
  EXPECT_TRUE(block_at(1)) << "one entry is left";
  settle_all({239});
  EXPECT_TRUE(block_at(0));
  EXPECT_FALSE(block_at(1));
  EXPECT_TRUE(block_at(2));
  settle_all(positions(0, 360));
  for (std::uint64_t n = 0; n < 3; ++n) EXPECT_FALSE(block_at(n)) << n;
  EXPECT_EQ(tail(), 360U) << "positions are not used again";
}

TEST_F(QueueBlocks, StayUntilTheyAreFullHoweverMuchIsSettled) {
  append_next(60);
  settle_all(positions(0, 60));
  ASSERT_TRUE(block_at(0)) << "the next append continues in it";
  append_next(60);
  EXPECT_EQ(block_at(0)->entries.size(), 120U);
  EXPECT_EQ(block_at(0)->settled.count(), 60U);
  settle_all(positions(60, 120));
  EXPECT_FALSE(block_at(0));
}

TEST_F(QueueBlocks, AreSettledSeveralInOneCall) {
  append_next(600);
  std::vector<std::uint64_t> odd;
  for (std::uint64_t p = 1; p < 600; p += 2) odd.push_back(p);
  settle_all(odd);
  for (std::uint64_t p = 0; p < 600; ++p) {
    EXPECT_EQ(block_at(p / block_entries)->settled.test(p % block_entries), p % 2 == 1) << p;
  }
  auto rest = positions(0, 240);
  settle_all(rest);
  settle_all(positions(0, 480));  // the first two are gone already
  EXPECT_EQ(ok(first_block(read(), tables(), id, 0)), 4U);
}

TEST_F(QueueBlocks, DoNotVanishForBeingDelivered) {
  append_next(120);
  mark_all(positions(0, 120));
  ASSERT_TRUE(block_at(0));
  EXPECT_EQ(block_at(0)->delivered.count(), 120U);
  EXPECT_TRUE(block_at(0)->settled.none());
  settle_all(positions(0, 120));
  mark_all({5});
  EXPECT_FALSE(block_at(0)) << "what is gone does not come back";
}

TEST_F(QueueBlocks, AreFoundFromANumberOn) {
  append_next(500);
  append_next(500, id + 1);
  settle_all(positions(0, 120));
  settle_all(positions(240, 360));
  const auto from = [&](std::uint64_t number) { return ok(first_block(read(), tables(), id, number)); };
  EXPECT_EQ(from(0), 1U);
  EXPECT_EQ(from(1), 1U);
  EXPECT_EQ(from(2), 3U);
  EXPECT_EQ(from(4), 4U);
  EXPECT_EQ(from(5), std::nullopt) << "neither its state nor the next queue is a block of it";
  EXPECT_EQ(ok(first_block(read(), tables(), id - 1, 0)), std::nullopt);
  EXPECT_EQ(ok(first_block(read(), tables(), id + 2, 0)), std::nullopt);
}

TEST_F(QueueBlocks, AreErasedInSlicesWithTheStateLast) {
  append_next(500, id - 1);
  append_next(500);
  append_next(500, id + 1);
  const auto erase = [&](std::size_t most) {
    bool done = false;
    write([&](auto& txn) { done = ok(erase_some(txn, tables(), id, most)); });
    return done;
  };
  EXPECT_FALSE(erase(2));
  EXPECT_EQ(ok(first_block(read(), tables(), id, 0)), 2U);
  EXPECT_FALSE(erase(3));
  EXPECT_EQ(ok(first_block(read(), tables(), id, 0)), std::nullopt);
  EXPECT_TRUE(ok(read_row(read(), tables(), id))) << "found again if the process dies here";
  EXPECT_TRUE(erase(3));
  EXPECT_FALSE(ok(read_row(read(), tables(), id)));
  EXPECT_TRUE(erase(3)) << "nothing is left";
  for (const std::uint32_t neighbour : {id - 1, id + 1}) {
    EXPECT_TRUE(ok(read_row(read(), tables(), neighbour)));
    for (std::uint64_t n = 0; n < 5; ++n) EXPECT_TRUE(block_at(n, neighbour)) << n;
  }
}

TEST_F(QueueBlocks, TellWhichQueuesHaveRows) {
  constexpr std::uint32_t last = std::numeric_limits<std::uint32_t>::max();
  append_next(300, 1);
  append_next(0, 2);  // a row of state alone
  append_next(1, 256);
  append_next(300, last);
  EXPECT_THAT(ok(stored_queues(read(), tables())), ElementsAre(1, 2, 256, last));
}

TEST_F(QueueBlocks, KeepTheRowOfState) {
  write([&](auto& txn) { ok(write_row(txn, tables(), id, {1'000'000'007, 41, 999})); });
  const auto row = *ok(read_row(read(), tables(), id));
  EXPECT_EQ(row.tail, 1'000'000'007U);
  EXPECT_EQ(row.settled, 41U);
  EXPECT_EQ(row.exposed, 999U);
  EXPECT_FALSE(ok(read_row(read(), tables(), id + 1)));
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string{hex.substr(i, 2)}, nullptr, 16));
  }
  return bytes;
}
std::string to_hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    for (const int nibble : {static_cast<unsigned char>(c) >> 4, c & 15}) hex += "0123456789abcdef"[nibble];
  }
  return hex;
}

// The stored format: a change of these bytes is a change of the format's version.

TEST_F(QueueBlocks, StoreTheStateInTheseBytes) {
  write([&](auto& txn) { ok(write_row(txn, tables(), id, {0x0102030405060708, 9, 300})); });
  const std::string key = from_hex("0000000000000007ffffffffffffffff");
  EXPECT_EQ(to_hex(stored(key)),
            "a0768cc48c49e886"
            "0807060504030201"
            "0900000000000000"
            "2c01000000000000");
}

TEST_F(QueueBlocks, StoreABlockInTheseBytes) {
  write([&](auto& txn) {
    queue_row row{120ULL * 0x0203, 0, 0};
    const std::vector<reference> two{{0x11, 0x22, 0x0102030405060708}, {0x33, 0xffffffff, 5}};
    ok(append(txn, tables(), id, row, two));
    EXPECT_EQ(row.tail, 120U * 0x0203 + 2);
    ok(settle(txn, tables(), id, std::vector<std::uint64_t>{120ULL * 0x0203 + 1}));
    ok(mark_delivered(txn, tables(), id, std::vector<std::uint64_t>{120ULL * 0x0203}));
  });
  const std::string key = from_hex("00000000000000070000000000000203");
  EXPECT_EQ(to_hex(stored(key)),
            "2f20a51b00234eb5"
            "02000000000000000000000000000000"  // settled
            "01000000000000000000000000000000"  // delivered
            "11000000220000000807060504030201"
            "33000000ffffffff0500000000000000");
}

// Damage

TEST_F(QueueBlocks, FindEveryChangedBitOfABlock) {
  append_next(3);
  const std::string key = key_of(id, 0);
  const std::string whole = stored(key);
  ASSERT_EQ(whole.size(), 40U + 3 * 16);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    store(key, changed);
    SCOPED_TRACE(at);
    expect_damaged(read_block(read(), tables(), id, 0), "checksum");
  }
  store(key, whole);
  EXPECT_TRUE(block_at(0));
}

TEST_F(QueueBlocks, FindABlockOfAnImpossibleSize) {
  append_next(120);
  const std::string key = key_of(id, 0);
  const std::string whole = stored(key);
  for (const std::string& changed : {std::string{}, whole.substr(0, 39), whole.substr(0, whole.size() - 1),
                                     whole + std::string(16, '\0'), whole + "x"}) {
    store(key, changed);
    SCOPED_TRACE(changed.size());
    expect_damaged(read_block(read(), tables(), id, 0), "size");
  }
  store(key, whole.substr(0, whole.size() - 16));
  expect_damaged(read_block(read(), tables(), id, 0), "checksum");
}

TEST_F(QueueBlocks, FindABlockInTheWrongPlace) {
  append_next(120);
  store(key_of(id, 1), stored(key_of(id, 0)));
  expect_damaged(read_block(read(), tables(), id, 1), "checksum");
  append_next(120, id + 1);
  store(key_of(id, 2), stored(key_of(id + 1, 0)));
  expect_damaged(read_block(read(), tables(), id, 2), "checksum");
}

TEST_F(QueueBlocks, FindEveryChangedBitOfTheState) {
  append_next(3);
  const std::string key = state_key_of(id);
  const std::string whole = stored(key);
  ASSERT_EQ(whole.size(), 32U);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    store(key, changed);
    SCOPED_TRACE(at);
    expect_damaged(read_row(read(), tables(), id), "checksum");
  }
  for (const std::string& changed : {std::string{}, whole.substr(0, 31), whole + "x"}) {
    store(key, changed);
    SCOPED_TRACE(changed.size());
    expect_damaged(read_row(read(), tables(), id), "size");
  }
  append_next(4, id + 1);
  store(key, stored(state_key_of(id + 1)));
  expect_damaged(read_row(read(), tables(), id), "checksum");
}

TEST_F(QueueBlocks, RefuseToChangeWhatIsDamaged) {
  append_next(60);
  std::string changed = stored(key_of(id, 0));
  changed.back() = static_cast<char>(changed.back() ^ 1);
  store(key_of(id, 0), changed);
  auto txn = ok(storage::write_transaction::begin(environment().env()));
  const std::vector<std::uint64_t> second{1};
  expect_damaged(settle(txn, tables(), id, second), "checksum");
  expect_damaged(mark_delivered(txn, tables(), id, second), "checksum");
  queue_row row{60, 0, 0};
  expect_damaged(append(txn, tables(), id, row, references(60, 61)), "checksum");
  EXPECT_EQ(row.tail, 60U);
}

TEST_F(QueueBlocks, RefuseToAppendWhereTheyDoNotEnd) {
  append_next(60);
  auto txn = ok(storage::write_transaction::begin(environment().env()));
  for (const std::uint64_t wrong : {59U, 61U, 119U, 121U}) {
    queue_row row{wrong, 0, 0};
    SCOPED_TRACE(wrong);
    expect_damaged(append(txn, tables(), id, row, references(0, 1)), "not where it ends");
  }
}

}  // namespace
}  // namespace levada::queue::test
