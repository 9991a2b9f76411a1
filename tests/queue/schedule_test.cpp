#include "queue/schedule.hpp"

#include "queue_fixture.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "storage/row.hpp"

namespace levada::queue {

// Found by argument-dependent lookup in expectations.
inline void PrintTo(const scheduled_message& m, std::ostream* out) {
  *out << "due " << m.due << " log " << m.log << " partition " << m.partition << " offset " << m.offset;
}

}  // namespace levada::queue

namespace levada::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr scheduled_message beginning{};
constexpr std::size_t all_of_them = std::numeric_limits<std::size_t>::max();

class Schedule : public queue_fixture {
 protected:
  void put_all(const std::vector<scheduled_message>& messages) {
    write([&](auto& txn) {
      for (const auto& m : messages) ok(put(txn, tables(), m));
    });
  }
  bool erase_one(const scheduled_message& m) {
    bool there = false;
    write([&](auto& txn) { there = ok(erase(txn, tables(), m)); });
    return there;
  }
  [[nodiscard]] std::vector<scheduled_message> stored_from(const scheduled_message& from,
                                                           std::size_t most = all_of_them) const {
    return ok(read_schedule(read(), tables(), from, most));
  }
  [[nodiscard]] std::vector<scheduled_message> everything() const { return stored_from(beginning); }

  // Rows, past the code that is tested.

  /// As docs/storage-format.md has it: when it is due, 8 bytes, its log and partition, 4 bytes each, and its
  /// offset, 8 bytes; big-endian.
  static std::string key_of(const scheduled_message& m) {
    std::string key;
    for (const std::uint64_t part :
         {static_cast<std::uint64_t>(m.due), std::uint64_t{m.log} << 32 | m.partition, m.offset}) {
      for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(part >> shift & 0xff);
    }
    return key;
  }
  static std::string checksum_of(const std::string& key) {
    const std::uint64_t sum = storage::records_hash(std::as_bytes(std::span{key}));
    return {reinterpret_cast<const char*>(&sum), sizeof sum};
  }
  void store_row(const std::string& key, const std::string& value) {
    write([&](auto& txn) {
      ok(txn.put(tables().schedule, std::as_bytes(std::span{key}), std::as_bytes(std::span{value})));
    });
  }
  /// One bit of its checksum.
  void spoil(const scheduled_message& m) {
    std::string value = checksum_of(key_of(m));
    value[3] = static_cast<char>(value[3] ^ 16);
    store_row(key_of(m), value);
  }
  [[nodiscard]] std::uint64_t rows() const { return ok(read().count(tables().schedule)); }
  [[nodiscard]] damaged_schedule examine(const std::vector<scheduled_message>& lost = {}) const {
    return ok(examine_schedule(read(), tables(), [&](const scheduled_message& m) {
      return std::find(lost.begin(), lost.end(), m) != lost.end();
    }));
  }
  void repair(const damaged_schedule& found) {
    write([&](auto& txn) { ok(repair_schedule(txn, tables(), found)); });
    EXPECT_THAT(examine().keys, IsEmpty()) << "what has been repaired is sound";
  }
};

TEST_F(Schedule, HoldsNothingAtFirst) {
  EXPECT_THAT(everything(), IsEmpty());
  EXPECT_FALSE(erase_one({1, 2, 3, 4}));
  EXPECT_THAT(examine().keys, IsEmpty());
  EXPECT_THAT(examine().lost, IsEmpty());
}

TEST_F(Schedule, IsInTheOrderOfTimesThenLogsPartitionsAndOffsets) {
  const std::vector<scheduled_message> sorted{
      {0, 9, 9, 9},
      {255, 9, 9, 9},
      {256, 0, 0, 0},
      {256, 0, 0, 255},
      {256, 0, 0, 256},
      {256, 0, 255, 0},
      {256, 0, 256, 0},
      {256, 255, 4'095, 0},
      {256, 256, 0, 0},
      {256, 256, 0, std::numeric_limits<std::uint64_t>::max()},
      {256, std::numeric_limits<std::uint32_t>::max(), 0, 0},
      {1'600'000'000'000'000, 1, 0, 0},
      {std::numeric_limits<std::int64_t>::max(), 0, 0, 0},
  };
  ASSERT_TRUE(std::is_sorted(sorted.begin(), sorted.end()));
  put_all({sorted.rbegin(), sorted.rend()});
  EXPECT_THAT(everything(), ElementsAreArray(sorted));
}

TEST_F(Schedule, HoldsAMessageOnce) {
  put_all({{5, 1, 0, 7}, {5, 1, 0, 7}});
  put_all({{5, 1, 0, 7}});
  EXPECT_THAT(everything(), ElementsAre(scheduled_message{5, 1, 0, 7}));
}

TEST_F(Schedule, IsReadFromAPlaceOnAndNoFurtherThanAsked) {
  put_all({{10, 1, 0, 0}, {20, 1, 0, 1}, {20, 1, 0, 2}, {30, 1, 0, 3}});
  EXPECT_THAT(stored_from({20, 1, 0, 1}),
              ElementsAre(scheduled_message{20, 1, 0, 1}, scheduled_message{20, 1, 0, 2},
                          scheduled_message{30, 1, 0, 3}))
      << "at it, or behind it";
  EXPECT_THAT(stored_from({20, 1, 0, 2}, 1), ElementsAre(scheduled_message{20, 1, 0, 2}));
  EXPECT_THAT(stored_from({20, 2, 0, 0}, 9), ElementsAre(scheduled_message{30, 1, 0, 3}));
  EXPECT_THAT(stored_from({31, 0, 0, 0}), IsEmpty());
  EXPECT_THAT(stored_from(beginning, 0), IsEmpty());
  EXPECT_THAT(stored_from(beginning, 2),
              ElementsAre(scheduled_message{10, 1, 0, 0}, scheduled_message{20, 1, 0, 1}));
}

TEST_F(Schedule, LosesWhatIsErasedAndNothingElse) {
  put_all({{10, 1, 0, 0}, {20, 1, 0, 1}, {30, 1, 0, 2}});
  for (const scheduled_message& other :
       std::vector<scheduled_message>{{21, 1, 0, 1}, {20, 2, 0, 1}, {20, 1, 1, 1}, {20, 1, 0, 2}}) {
    EXPECT_FALSE(erase_one(other));
  }
  EXPECT_TRUE(erase_one({20, 1, 0, 1}));
  EXPECT_FALSE(erase_one({20, 1, 0, 1}));
  EXPECT_THAT(everything(), ElementsAre(scheduled_message{10, 1, 0, 0}, scheduled_message{30, 1, 0, 2}));
}

TEST_F(Schedule, IsWalkedThroughWholeHoweverMuchThereIs) {
  std::vector<scheduled_message> expected;
  for (const std::uint64_t count : {0U, 1U, 4'095U, 4'096U, 4'097U, 8'192U, 9'000U}) {
    std::vector<scheduled_message> more;
    for (std::uint64_t n = expected.size(); n < count; ++n)
      more.push_back(
          {static_cast<std::int64_t>(n / 1'000), 1, static_cast<std::uint32_t>(n % 1'000 / 300), n});
    put_all(more);
    expected.insert(expected.end(), more.begin(), more.end());
    std::vector<scheduled_message> walked;
    ok(for_each_scheduled(environment(), [&](const scheduled_message& m) { walked.push_back(m); }));
    EXPECT_EQ(walked, expected) << count;
  }
}

TEST_F(Schedule, StoresWhatTheFormatSays) {
  put_all({{10, 1, 2, 3}});
  const auto txn = read();
  const std::string key = key_of({10, 1, 2, 3});
  const auto value = ok(txn.get(tables().schedule, std::as_bytes(std::span{key})));
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ((std::string{reinterpret_cast<const char*>(value->data()), value->size()}), checksum_of(key));
}

// Damage

TEST_F(Schedule, FailsWhereARowCannotBeBelieved) {
  const scheduled_message good{10, 1, 0, 0};
  const std::string key = key_of({20, 1, 0, 1});
  const std::string sum = checksum_of(key);
  const std::string negative = key_of({-1, 1, 0, 1});
  const std::vector<std::pair<std::string, std::string>> bad{
      {key, std::string(8, '\0')},
      {key, sum + '\0'},
      {key, sum.substr(0, 7)},
      {key, ""},
      {key_of({20, 1, 0, 2}), sum},
      {key + '\0', checksum_of(key + '\0')},
      {key.substr(0, 23), checksum_of(key.substr(0, 23))},
      {negative, checksum_of(negative)},
  };
  for (std::size_t i = 0; i < bad.size(); ++i) {
    SCOPED_TRACE(i);
    put_all({good});
    store_row(bad[i].first, bad[i].second);
    const auto r = read_schedule(read(), tables(), beginning, all_of_them);
    ASSERT_THAT(r, fails_with(errc::damaged));
    EXPECT_THAT(r.error().message(), HasSubstr("schedule"));
    EXPECT_THAT(for_each_scheduled(environment(), [](const scheduled_message&) {}),
                fails_with(errc::damaged));
    EXPECT_THAT(stored_from(beginning, 1), ElementsAre(good)) << "it is not come to";
    const auto found = examine();
    ASSERT_EQ(found.keys.size(), 1U);
    EXPECT_EQ((std::string{reinterpret_cast<const char*>(found.keys[0].data()), found.keys[0].size()}),
              bad[i].first);
    EXPECT_THAT(found.lost, IsEmpty());
    repair(found);
    EXPECT_THAT(everything(), ElementsAre(good));
    EXPECT_EQ(rows(), 1U);
  }
}

TEST_F(Schedule, IsRidOfWhatIsDamagedAndLostAndOfNothingElse) {
  std::vector<scheduled_message> messages;
  for (std::uint64_t n = 0; n < 20; ++n) messages.push_back({static_cast<std::int64_t>(n), 1, 0, n});
  put_all(messages);
  for (const std::size_t n : {0U, 7U, 8U, 19U}) spoil(messages[n]);
  const std::vector<scheduled_message> lost{messages[1], messages[8], messages[12]};
  const auto found = examine(lost);
  EXPECT_EQ(found.keys.size(), 4U);
  EXPECT_THAT(found.lost, ElementsAre(messages[1], messages[12])) << "a damaged one is damaged";
  repair(found);
  std::vector<scheduled_message> left;
  for (const std::size_t n : {2U, 3U, 4U, 5U, 6U, 9U, 10U, 11U, 13U, 14U, 15U, 16U, 17U, 18U})
    left.push_back(messages[n]);
  EXPECT_EQ(everything(), left);
  EXPECT_EQ(rows(), left.size());
}

TEST_F(Schedule, IsLeftAsItIsWhereNothingIsWrong) {
  put_all({{10, 1, 0, 0}, {20, 1, 0, 1}});
  repair(examine());
  EXPECT_EQ(rows(), 2U);
}

}  // namespace
}  // namespace levada::queue::test
