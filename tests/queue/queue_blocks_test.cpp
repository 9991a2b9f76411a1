#include "queue/queue_blocks.hpp"

#include "queue_fixture.hpp"

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

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

TEST_F(QueueBlocks, AreFilledWith62EntriesEach) {
  append_next(61);
  append_next(1);
  append_next(1);
  append_next(134);
  EXPECT_EQ(tail(), 197U);
  std::vector<std::size_t> sizes;
  for (std::uint64_t n = 0; n < 5; ++n) {
    const auto b = block_at(n);
    sizes.push_back(b ? b->entries.size() : 0);
    EXPECT_EQ(b ? b->number : n, n);
  }
  EXPECT_THAT(sizes, ElementsAre(62, 62, 62, 11, 0));
  EXPECT_EQ(entries_of_all_blocks(4), references(0, 197));
}

TEST_F(QueueBlocks, TakeWhatIsAppendedOnEachSideOfTheirBorders) {
  constexpr std::size_t full = block_entries;
  std::uint32_t queue = 100;
  for (const std::size_t first :
       {std::size_t{1}, std::size_t{2}, full - 1, full, full + 1, 2 * full - 1, 2 * full, 2 * full + 1}) {
    for (const std::size_t second : {std::size_t{1}, full - 1, full, full + 1, 2 * full, 5 * full / 2}) {
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
      EXPECT_EQ(row_of(queue).bytes, bytes_of(got)) << first << " + " << second;
    }
  }
}

TEST_F(QueueBlocks, AreLeftAloneByAppendingNothing) {
  append_next(0);
  EXPECT_EQ(tail(), 0U);
  EXPECT_EQ(row_of().bytes, 0U);
  EXPECT_FALSE(block_at(0));
  append_next(block_entries);
  append_next(0);
  EXPECT_EQ(tail(), block_entries);
  EXPECT_EQ(row_of().bytes, bytes_of(references(0, block_entries)));
  EXPECT_FALSE(block_at(1));
}

TEST_F(QueueBlocks, KeepSettledAndDeliveredBitsApart) {
  append_next(block_entries + 10);
  settle_all({0, 31, 32, block_entries - 1, block_entries + 1});
  mark_all({1, 30, 31, 33, block_entries - 2, block_entries + 9});
  const auto first = *block_at(0);
  const auto second = *block_at(1);
  for (std::uint64_t p = 0; p < 64; ++p) {
    EXPECT_EQ(first.settled.test(p), p == 0 || p == 31 || p == 32 || p == block_entries - 1) << p;
    EXPECT_EQ(first.delivered.test(p), p == 1 || p == 30 || p == 31 || p == 33 || p == block_entries - 2)
        << p;
  }
  EXPECT_EQ(second.settled, std::bitset<64>{1U << 1});
  EXPECT_EQ(second.delivered, std::bitset<64>{1U << 9});
}

TEST_F(QueueBlocks, KeepTheirBitsWhenEntriesAreAppended) {
  append_next(40);
  settle_all({3, 39});
  mark_all({0, 38});
  append_next(block_entries - 40);
  const auto b = *block_at(0);
  EXPECT_EQ(b.entries, references(0, block_entries));
  EXPECT_EQ(b.settled.count(), 2U);
  EXPECT_TRUE(b.settled.test(3) && b.settled.test(39));
  EXPECT_EQ(b.delivered.count(), 2U);
  EXPECT_TRUE(b.delivered.test(0) && b.delivered.test(38));
}

TEST_F(QueueBlocks, VanishWhenAllTheirEntriesAreSettled) {
  append_next(3 * block_entries);
  settle_all(positions(block_entries, 2 * block_entries - 1));
  EXPECT_TRUE(block_at(1)) << "one entry is left";
  settle_all({2 * block_entries - 1});
  EXPECT_TRUE(block_at(0));
  EXPECT_FALSE(block_at(1));
  EXPECT_TRUE(block_at(2));
  settle_all(positions(0, 3 * block_entries));
  for (std::uint64_t n = 0; n < 3; ++n) EXPECT_FALSE(block_at(n)) << n;
  EXPECT_EQ(tail(), 3 * block_entries) << "positions are not used again";
}

TEST_F(QueueBlocks, StayUntilTheyAreFullHoweverMuchIsSettled) {
  append_next(30);
  settle_all(positions(0, 30));
  ASSERT_TRUE(block_at(0)) << "the next append continues in it";
  append_next(block_entries - 30);
  EXPECT_EQ(block_at(0)->entries.size(), block_entries);
  EXPECT_EQ(block_at(0)->settled.count(), 30U);
  settle_all(positions(30, block_entries));
  EXPECT_FALSE(block_at(0));
}

TEST_F(QueueBlocks, AreSettledSeveralInOneCall) {
  append_next(5 * block_entries);
  std::vector<std::uint64_t> odd;
  for (std::uint64_t p = 1; p < 5 * block_entries; p += 2) odd.push_back(p);
  settle_all(odd);
  for (std::uint64_t p = 0; p < 5 * block_entries; ++p) {
    EXPECT_EQ(block_at(p / block_entries)->settled.test(p % block_entries), p % 2 == 1) << p;
  }
  auto rest = positions(0, 2 * block_entries);
  settle_all(rest);
  settle_all(positions(0, 4 * block_entries));  // the first two are gone already
  EXPECT_EQ(ok(first_block(read(), tables(), id, 0)), 4U);
}

TEST_F(QueueBlocks, DoNotVanishForBeingDelivered) {
  append_next(block_entries);
  mark_all(positions(0, block_entries));
  ASSERT_TRUE(block_at(0));
  EXPECT_EQ(block_at(0)->delivered.count(), block_entries);
  EXPECT_TRUE(block_at(0)->settled.none());
  settle_all(positions(0, block_entries));
  mark_all({5});
  EXPECT_FALSE(block_at(0)) << "what is gone does not come back";
}

TEST_F(QueueBlocks, AreFoundFromANumberOn) {
  append_next(4 * block_entries + 20);
  append_next(4 * block_entries + 20, id + 1);
  settle_all(positions(0, block_entries));
  settle_all(positions(2 * block_entries, 3 * block_entries));
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
  append_next(4 * block_entries + 20, id - 1);
  append_next(4 * block_entries + 20);
  append_next(4 * block_entries + 20, id + 1);
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
  write([&](auto& txn) { ok(write_row(txn, tables(), id, {1'000'000'007, 41, 999, 5'000'000'000})); });
  const auto row = *ok(read_row(read(), tables(), id));
  EXPECT_EQ(row.tail, 1'000'000'007U);
  EXPECT_EQ(row.settled, 41U);
  EXPECT_EQ(row.exposed, 999U);
  EXPECT_EQ(row.bytes, 5'000'000'000U);
  EXPECT_FALSE(ok(read_row(read(), tables(), id + 1)));
}

// Bytes

TEST_F(QueueBlocks, AddTheBytesOfWhatIsAppendedToTheRow) {
  append_next(1);
  EXPECT_EQ(row_of().bytes, nth(0).bytes);
  append_next(block_entries + 40);
  EXPECT_EQ(row_of().bytes, bytes_of(references(0, block_entries + 41)));
  settle_all(positions(0, block_entries + 41));
  const std::uint64_t before = row_of().bytes;
  append_next(3);
  EXPECT_EQ(row_of().bytes - before, bytes_of(references(block_entries + 41, block_entries + 44)))
      << "settled entries of the same block count for nothing";
}

TEST_F(QueueBlocks, GiveTheBytesOfWhatTheySettleOnce) {
  append_next(3 * block_entries);
  const auto bytes_at = [](const std::vector<std::uint64_t>& which) {
    std::uint64_t bytes = 0;
    for (const std::uint64_t p : which) bytes += nth(p).bytes;
    return bytes;
  };
  EXPECT_EQ(settle_all({}), 0U);
  const std::vector<std::uint64_t> some{0, 5, block_entries - 1, block_entries, 2 * block_entries + 1};
  EXPECT_EQ(settle_all(some), bytes_at(some));
  EXPECT_EQ(settle_all(some), 0U) << "they were settled before";
  EXPECT_EQ(settle_all({4, 5, 6}), bytes_at({4, 6}));
  EXPECT_EQ(settle_all(positions(block_entries, 2 * block_entries)),
            bytes_at(positions(block_entries + 1, 2 * block_entries)))
      << "a block that vanishes with it counts like others";
  EXPECT_EQ(settle_all(positions(block_entries, 2 * block_entries)), 0U) << "it is gone";
}

TEST_F(QueueBlocks, LeaveARowWithoutBytesWhenAllIsSettled) {
  append_next(2 * block_entries + 10);
  queue_row row = row_of();
  for (const auto& [from, to] : {std::pair{0U, 30U}, {20U, 100U}, {0U, 134U}}) {
    row.bytes -= settle_all(positions(from, to));
    EXPECT_EQ(row.bytes, bytes_of(references(to, 2 * block_entries + 10))) << to;
  }
  EXPECT_EQ(row.bytes, 0U);
}

TEST_F(QueueBlocks, AddUpBytesBeyond32Bits) {
  constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  append_these({{3, 0, 0, 1, 0, most}, {3, 0, 0, 2, 0, most}, {3, 0, 0, 3, 0, most}});
  EXPECT_EQ(row_of().bytes, 3ULL * most);
  EXPECT_EQ(settle_all({0, 2}), 2ULL * most);
}

TEST_F(QueueBlocks, KeepTheirBytesWhileEntriesAreDeliveredAndCounted) {
  append_next(3);
  mark_all({0, 1, 2});
  write([&](auto& txn) { ok(count_deliveries(txn, tables(), id, std::vector<std::uint64_t>{1})); });
  EXPECT_EQ(settle_all({0, 1, 2}), bytes_of(references(0, 3)));
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

TEST_F(QueueBlocks, CountDeliveriesOfSingleEntriesAndStopAtTheLargest) {
  append_next(block_entries + 20);
  write([&](auto& txn) {
    ok(count_deliveries(txn, tables(), id, std::vector<std::uint64_t>{1, block_entries - 1, block_entries}));
    ok(count_deliveries(txn, tables(), id, std::vector<std::uint64_t>{block_entries - 1}));
    EXPECT_EQ(ok(settle(txn, tables(), id, std::vector<std::uint64_t>{0, 1})).bytes,
              nth(0).bytes + nth(1).bytes);
  });
  std::vector<std::pair<std::uint64_t, unsigned>> counted;
  std::uint64_t all = 0;
  ok(for_each_unsettled(read(), tables(), id, [&](std::uint64_t position, const reference& where) {
    ++all;
    reference expected = nth(position);
    expected.deliveries = where.deliveries;
    EXPECT_EQ(where, expected);
    if (where.deliveries > 0) counted.emplace_back(position, where.deliveries);
  }));
  EXPECT_EQ(all, block_entries + 18);
  EXPECT_EQ(counted,
            (std::vector<std::pair<std::uint64_t, unsigned>>{{block_entries - 1, 2}, {block_entries, 1}}));
  const std::vector<std::uint64_t> last{block_entries + 19};
  write([&](auto& txn) {
    for (int i = 0; i < 65'536; ++i) ok(count_deliveries(txn, tables(), id, last));
  });
  reference often = nth(last[0]);
  often.deliveries = 65'535;
  EXPECT_EQ(ok(read_block(read(), tables(), id, 1))->entries.at(19), often);
}

// The stored format: a change of these bytes is a change of the format's version.

TEST_F(QueueBlocks, StoreTheStateInTheseBytes) {
  write([&](auto& txn) { ok(write_row(txn, tables(), id, {0x0102030405060708, 9, 300, 0x1112131415})); });
  const std::string key = from_hex("0000000000000007ffffffffffffffff");
  EXPECT_EQ(to_hex(stored(key)),
            "64005b75e1d505f4"    // checksum
            "0807060504030201"    // tail
            "0900000000000000"    // settled
            "2c01000000000000"    // exposed
            "1514131211000000");  // bytes
}

TEST_F(QueueBlocks, StoreABlockInTheseBytes) {
  constexpr std::uint64_t first = block_entries * 0x0203;
  write([&](auto& txn) {
    queue_row row{first, 0, 0, 0};
    const std::vector<reference> two{{0x11, 0x22, 0, 0x0102030405060708, 0x0011121314151617, 0x21222324},
                                     {0x33, 0xffff, 0xffff, 5, 0, 6}};
    ok(append(txn, tables(), id, row, two));
    EXPECT_EQ(row.tail, first + 2);
    EXPECT_EQ(row.bytes, 0x21222324U + 6);
    EXPECT_EQ(ok(settle(txn, tables(), id, std::vector<std::uint64_t>{first + 1})).bytes, 6U);
    ok(mark_delivered(txn, tables(), id, std::vector<std::uint64_t>{first}));
  });
  const std::string key = from_hex("00000000000000070000000000000203");
  EXPECT_EQ(to_hex(stored(key)),
            "d137b23f5a651735"                  // checksum
            "02000000000000c0"                  // settled; the entries are scattered, and expire
            "0100000000000040"                  // delivered; deliveries are counted
            "08070605040302010500000000000000"  // offsets
            "1100000033000000"                  // logs
            "2200ffff"                          // partitions
            "2423222106000000"                  // bytes
            "17161514131211000000000000000000"  // expires
            "0000ffff");                        // deliveries
}

TEST_F(QueueBlocks, StoreEntriesOfOnePartitionInTheseBytes) {
  constexpr std::uint64_t first = block_entries * 0x0203;
  write([&](auto& txn) {
    queue_row row{first, 0, 0, 0};
    const std::vector<reference> two{{0x11, 0x22, 0, 0x010203040506070d, 0, 0x21222324},
                                     {0x11, 0x22, 0, 0x0102030405060708, 0, 6, 0x31323334}};
    ok(append(txn, tables(), id, row, two));
  });
  EXPECT_EQ(to_hex(stored(from_hex("00000000000000070000000000000203"))),
            "905eb0d34fb7de53"                  // checksum
            "0000000000000000"                  // settled
            "0000000000000080"                  // delivered; something waits
            "08070605040302011100000022000000"  // the first offset, log, partition
            "0500000000000000"                  // distances
            "2423222106000000"                  // bytes
            "0000000034333231");                // not before
}

TEST_F(QueueBlocks, AreNoLargerThanARowWhenFull) {
  std::vector<reference> all;
  for (std::uint64_t p = 0; p < block_entries; ++p) {
    all.push_back(nth(p));
    all.back().deliveries = 1;
    all.back().not_before = 1;
  }
  append_these(all);
  EXPECT_EQ(stored(key_of(id, 0)).size(), 24 + 62 * 32U);
  EXPECT_LE(stored(key_of(id, 0)).size(), 2'008U);
}

TEST_F(QueueBlocks, AreSmallWhereEntriesAreAlike) {
  std::vector<reference> all;
  for (std::uint64_t p = 0; p < block_entries; ++p) all.push_back({1, 2, 0, 1'000'000 + 1'000 * p, 0, 100});
  append_these(all);
  EXPECT_EQ(stored(key_of(id, 0)).size(), 24 + 16 + 62 * 8U);
}

TEST_F(QueueBlocks, KeepEntriesOfAnyKind) {
  std::mt19937_64 random{7};
  const auto one_in = [&random](std::uint64_t n) { return random() % n == 0; };
  std::vector<reference> all;
  while (all.size() < 40 * block_entries) {
    // Each block of a kind of its own; the largest distance that stands together, and the next.
    const bool elsewhere = one_in(4);
    const bool far = one_in(6);
    const bool expires = one_in(3);
    const bool counted = one_in(3);
    const bool waits = one_in(3);
    for (std::uint64_t i = 0; i < block_entries; ++i) {
      reference r{9, 4, 0, 1'000 + random() % 1'000, 0, static_cast<std::uint32_t>(random())};
      if (elsewhere && one_in(20)) ++r.log;
      if (elsewhere && one_in(20)) ++r.partition;
      if (far && i == 30) r.offset = 5;
      if (far && i == 40) r.offset = 5 + 0xffffffffULL + random() % 2;
      if (expires && one_in(9)) r.expires = -static_cast<std::int64_t>(random() % 1'000);
      if (counted && one_in(9)) r.deliveries = static_cast<std::uint16_t>(random());
      if (waits && one_in(9)) r.not_before = static_cast<std::uint32_t>(random());
      all.push_back(r);
    }
  }
  for (std::size_t from = 0; from < all.size();) {
    const std::size_t n = std::min<std::size_t>(1 + random() % 100, all.size() - from);
    append_these({all.begin() + static_cast<std::ptrdiff_t>(from),
                  all.begin() + static_cast<std::ptrdiff_t>(from + n)});
    from += n;
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    ASSERT_EQ(block_at(i / block_entries)->entries.at(i % block_entries), all[i]) << i;
}

// Damage

TEST_F(QueueBlocks, FindEveryChangedBitOfABlock) {
  append_next(3);
  const std::string key = key_of(id, 0);
  const std::string whole = stored(key);
  ASSERT_EQ(whole.size(), 24U + 3 * 26);
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string changed = whole;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    store(key, changed);
    SCOPED_TRACE(bit);
    // With another layout, it may have an impossible size as well.
    expect_damaged(read_block(read(), tables(), id, 0), "a block has a");
  }
  store(key, whole);
  EXPECT_TRUE(block_at(0));
}

TEST_F(QueueBlocks, FindABlockOfAnImpossibleSize) {
  append_next(block_entries);
  const std::string key = key_of(id, 0);
  const std::string whole = stored(key);
  for (const std::string& changed : {std::string{}, whole.substr(0, 23), whole.substr(0, whole.size() - 1),
                                     whole.substr(0, whole.size() - 16), whole + std::string(16, '\0'),
                                     whole + std::string(26, '\0'), whole + "x"}) {
    store(key, changed);
    SCOPED_TRACE(changed.size());
    expect_damaged(read_block(read(), tables(), id, 0), "size");
  }
  store(key, whole.substr(0, whole.size() - 26));
  expect_damaged(read_block(read(), tables(), id, 0), "checksum");
}

TEST_F(QueueBlocks, FindABlockInTheWrongPlace) {
  append_next(block_entries);
  store(key_of(id, 1), stored(key_of(id, 0)));
  expect_damaged(read_block(read(), tables(), id, 1), "checksum");
  append_next(block_entries, id + 1);
  store(key_of(id, 2), stored(key_of(id + 1, 0)));
  expect_damaged(read_block(read(), tables(), id, 2), "checksum");
}

TEST_F(QueueBlocks, FindEveryChangedBitOfTheState) {
  append_next(3);
  const std::string key = state_key_of(id);
  const std::string whole = stored(key);
  ASSERT_EQ(whole.size(), 40U);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    store(key, changed);
    SCOPED_TRACE(at);
    expect_damaged(read_row(read(), tables(), id), "checksum");
  }
  for (const std::string& changed : {std::string{}, whole.substr(0, 39), whole.substr(0, 32), whole + "x"}) {
    store(key, changed);
    SCOPED_TRACE(changed.size());
    expect_damaged(read_row(read(), tables(), id), "size");
  }
  append_next(4, id + 1);
  store(key, stored(state_key_of(id + 1)));
  expect_damaged(read_row(read(), tables(), id), "checksum");
}

TEST_F(QueueBlocks, RefuseToChangeWhatIsDamaged) {
  append_next(30);
  std::string changed = stored(key_of(id, 0));
  changed.back() = static_cast<char>(changed.back() ^ 1);
  store(key_of(id, 0), changed);
  auto txn = ok(storage::write_transaction::begin(environment().env()));
  const std::vector<std::uint64_t> second{1};
  expect_damaged(settle(txn, tables(), id, second), "checksum");
  expect_damaged(mark_delivered(txn, tables(), id, second), "checksum");
  expect_damaged(count_deliveries(txn, tables(), id, second), "checksum");
  queue_row row{30, 0, 0, 7};
  expect_damaged(append(txn, tables(), id, row, references(30, 31)), "checksum");
  EXPECT_EQ(row.tail, 30U);
  EXPECT_EQ(row.bytes, 7U);
}

TEST_F(QueueBlocks, RefuseToAppendWhereTheyDoNotEnd) {
  append_next(30);
  auto txn = ok(storage::write_transaction::begin(environment().env()));
  for (const std::uint64_t wrong :
       {std::uint64_t{29}, std::uint64_t{31}, block_entries - 1, block_entries + 1}) {
    queue_row row{wrong, 0, 0, 7};
    SCOPED_TRACE(wrong);
    expect_damaged(append(txn, tables(), id, row, references(0, 1)), "not where it ends");
    EXPECT_EQ(row.bytes, 7U);
  }
}

}  // namespace
}  // namespace levada::queue::test
