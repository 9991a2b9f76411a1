#include "log/journal_reader.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "log_testing.hpp"

namespace levada::log::test {
namespace {

using ::testing::HasSubstr;

class JournalReader : public journal_fixture {
 protected:
  log_state& orders_ = declare(4, "orders", 2);
  log_state& other_ = declare(5, "other", 1);
};

TEST_F(JournalReader, FindsNothingInAnEmptyJournal) {
  std::uint64_t from = 0;
  EXPECT_TRUE(read_partition(orders_, 0, from).empty());
  EXPECT_TRUE(read_log(orders_, from, next_sequence()).empty());
  EXPECT_EQ(ok(reader().find_time(orders_, 0, 0)), 0U);
}

TEST_F(JournalReader, StartsInTheMiddleOfARow) {
  append(orders_, 0, {"a", "b", "c"}, 100);
  append(orders_, 0, {"d"}, 200);
  std::uint64_t from = 2;
  EXPECT_EQ(read_partition(orders_, 0, from), (std::vector<seen_record>{{0, 2, 100, "c"}, {0, 3, 200, "d"}}));
  EXPECT_EQ(from, 4U);
}

TEST_F(JournalReader, EndsInTheMiddleOfARowWhenTheBatchIsFull) {
  append(orders_, 0, {"a", "b", "c", "d"}, 100);
  std::uint64_t from = 1;
  batch_builder two{{.records = 2}};
  ok(reader().read_partition(orders_, 0, from, UINT64_MAX, two));
  EXPECT_EQ(seen(two.finish()), (std::vector<seen_record>{{0, 1, 100, "b"}, {0, 2, 100, "c"}}));
  EXPECT_EQ(from, 3U);
}

TEST_F(JournalReader, ReturnsNoMoreBytesThanWantedButAtLeastOneRecord) {
  append(orders_, 0, {"a", "b", std::string(300, 'c'), "d", "e"}, 100);
  append(orders_, 0, {"f", "g"}, 101);
  std::uint64_t first = 1;
  const auto all = read_log(orders_, first, next_sequence());
  ASSERT_EQ(all.size(), 7U);
  for (std::size_t bytes = 1; bytes < 500; bytes += 7) {
    std::vector<seen_record> partition;
    for (std::uint64_t from = 0; from < 7;) {
      batch_builder batch{{.bytes = bytes}};
      ok(reader().read_partition(orders_, 0, from, UINT64_MAX, batch));
      const std::size_t took = batch.bytes();
      const auto some = seen(batch.finish());
      ASSERT_FALSE(some.empty());
      ASSERT_TRUE(took <= bytes || some.size() == 1) << took << " of " << bytes;
      partition.insert(partition.end(), some.begin(), some.end());
      ASSERT_EQ(from, partition.size());
    }
    ASSERT_EQ(partition, all);
    auto pass = pass_from(orders_, 1);
    std::vector<seen_record> passed;
    while (passed.size() < 7) {
      batch_builder batch{{.bytes = bytes}};
      ok(reader().read_pass(pass, next_sequence(), batch));
      const std::size_t took = batch.bytes();
      const auto some = seen(batch.finish());
      ASSERT_FALSE(some.empty());
      ASSERT_TRUE(took <= bytes || some.size() == 1) << took << " of " << bytes;
      passed.insert(passed.end(), some.begin(), some.end());
    }
    ASSERT_EQ(passed, all);
  }
}

TEST_F(JournalReader, ReadsUpToTheEndThatTheLogKnows) {
  append(orders_, 0, {"known"}, 100);
  store(encoded(orders_, 0, {"not noted yet"}, 100));
  std::uint64_t from = 0;
  EXPECT_EQ(read_partition(orders_, 0, from).size(), 1U);
  EXPECT_EQ(from, 1U);
}

TEST_F(JournalReader, StopsQuietlyBeforeWhatItsSnapshotDoesNotHave) {
  append(orders_, 0, {"old"}, 100);
  auto before = reader();
  append(orders_, 0, {"new"}, 100);
  std::uint64_t from = 0;
  batch_builder batch{{}};
  ok(before.read_partition(orders_, 0, from, UINT64_MAX, batch));
  EXPECT_EQ(seen(batch.finish()).size(), 1U);
  EXPECT_EQ(from, 1U);
  ok(before.read_partition(orders_, 0, from, UINT64_MAX, batch));
  EXPECT_TRUE(batch.finish().empty());
  EXPECT_EQ(from, 1U);
}

TEST_F(JournalReader, PutsALargeRecordTogetherAndReturnsItAloneWhereItDoesNotFit) {
  std::string large(30'000, 'x');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 11 / 7);
  append(orders_, 0, {"before", large, "after"}, 100);
  std::uint64_t from = 0;
  EXPECT_EQ(read_partition(orders_, 0, from),
            (std::vector<seen_record>{{0, 0, 100, "before"}, {0, 1, 100, large}, {0, 2, 100, "after"}}));
  from = 1;
  batch_builder little{{.bytes = 50}};
  ok(reader().read_partition(orders_, 0, from, UINT64_MAX, little));
  EXPECT_EQ(seen(little.finish()), (std::vector<seen_record>{{0, 1, 100, large}}));
  EXPECT_EQ(from, 2U);
  from = 0;
  ok(reader().read_partition(orders_, 0, from, UINT64_MAX, little));
  EXPECT_EQ(little.finish().size(), 1U) << "the large one waits for the next batch";
  EXPECT_EQ(from, 1U);
}

TEST_F(JournalReader, FollowsCommitOrderAndLeavesOtherLogsOut) {
  append(orders_, 1, {"a"}, 100);
  append(other_, 0, {"x"}, 100);
  append(orders_, 0, {"b"}, 101);
  append(orders_, 1, {"c"}, 102);
  std::uint64_t from = 0;
  EXPECT_EQ(read_log(orders_, from, next_sequence()),
            (std::vector<seen_record>{{1, 0, 100, "a"}, {0, 0, 101, "b"}, {1, 1, 102, "c"}}));
  EXPECT_EQ(from, next_sequence());
  from = 3;
  EXPECT_EQ(read_log(orders_, from, 4), (std::vector<seen_record>{{0, 0, 101, "b"}}))
      << "up to, not including";
  EXPECT_EQ(from, 4U);
}

/// A row whose records have times of their own, as a row of several commits would.
class RowOfManyTimes : public JournalReader {
 protected:
  RowOfManyTimes() {
    append(orders_, 0, {"first"}, 90);
    auto rows = encoded(orders_, 0, {"a", "b", "c", "d"}, 100);
    constexpr std::int32_t deltas[] = {0, 10, 10, 20};
    std::size_t at = sizeof(storage::row_header);
    for (const std::int32_t delta : deltas) {
      std::memcpy(rows[0].bytes.data() + at + 8, &delta, sizeof delta);
      at += detail::padded(value_of("a").size());
    }
    auto header = rows[0].header();
    header.time_last = 120;
    rows[0].set_header(header);
    store(rows);
    note(orders_, 0);
    append(orders_, 0, {"last"}, 130);
  }
  std::uint64_t find(std::int64_t time) { return ok(reader().find_time(orders_, 0, time)); }
};

TEST_F(RowOfManyTimes, IsSearchedRecordByRecord) {
  EXPECT_EQ(find(std::numeric_limits<std::int64_t>::min()), 0U);
  EXPECT_EQ(find(90), 0U);
  EXPECT_EQ(find(91), 1U);
  EXPECT_EQ(find(100), 1U);
  EXPECT_EQ(find(101), 2U);
  EXPECT_EQ(find(110), 2U) << "the first of two with that time";
  EXPECT_EQ(find(111), 4U);
  EXPECT_EQ(find(120), 4U);
  EXPECT_EQ(find(121), 5U);
  EXPECT_EQ(find(131), 6U) << "none: the end";
}

class DamagedJournal : public JournalReader {
 protected:
  DamagedJournal() {
    append(orders_, 0, {"a", "b"}, 100);
    large_ = next_sequence();
    append(orders_, 0, {std::string(5000, 'x')}, 100);
    after_ = next_sequence();
    append(orders_, 0, {"after"}, 100);
  }
  /// Reads everything; fails at the damage.
  result<void> read(std::uint64_t& from, std::vector<seen_record>& got) {
    batch_builder batch{{}};
    auto done = reader().read_partition(orders_, 0, from, UINT64_MAX, batch);
    got = seen(batch.finish());
    return done;
  }
  void expect_damage_at(std::uint64_t offset, const std::string& what) {
    std::uint64_t from = 0;
    std::vector<seen_record> got;
    const auto done = read(from, got);
    ASSERT_THAT(done, fails_with(errc::damaged));
    EXPECT_THAT(done.error().message(), HasSubstr("'orders'"));
    EXPECT_THAT(done.error().message(), HasSubstr(what));
    EXPECT_EQ(got.size(), offset) << "what stands before the damage is read";
    EXPECT_EQ(from, offset) << "and passed over";
    auto pass = pass_from(orders_, 0);
    batch_builder batch{{}};
    EXPECT_THAT(reader().read_pass(pass, next_sequence(), batch), fails_with(errc::damaged));
    EXPECT_EQ(batch.records(), offset);
    EXPECT_GT(pass.parts[0].next[0], offset) << "a pass goes on behind it";
  }
  std::uint64_t large_ = 0;
  std::uint64_t after_ = 0;
};

TEST_F(DamagedJournal, IsNoticedInARecord) {
  spoil(1, sizeof(storage::row_header) + 20);
  expect_damage_at(0, "offset 0: wrong checksum");
}

TEST_F(DamagedJournal, IsNoticedInAHeader) {
  spoil(after_, offsetof(storage::row_header, time_first));
  expect_damage_at(3, "offset 3: wrong checksum");
}

TEST_F(DamagedJournal, IsNoticedInTheFirstPartOfALargeRecord) {
  spoil(large_, 1000);
  expect_damage_at(2, "offset 2: wrong checksum");
}

TEST_F(DamagedJournal, IsNoticedInALaterPartOfALargeRecord) {
  spoil(large_ + 1, 1000);
  expect_damage_at(2, "wrong checksum");
}

TEST_F(DamagedJournal, IsNoticedWhereAPartOfALargeRecordIsMissing) {
  erase(large_ + 1);
  expect_damage_at(2, "a part of the record is missing");
}

TEST_F(DamagedJournal, IsNoticedWhereTheLastPartOfALargeRecordIsMissing) {
  erase(after_ - 1);
  expect_damage_at(2, "a part of the record is missing");
}

TEST_F(DamagedJournal, IsNoticedWherePartsOfALargeRecordHaveChangedPlaces) {
  auto rows = encoded(orders_, 1, {std::string(3 * storage::row_records_max, 'x')}, 100);
  ASSERT_EQ(rows.size(), 4U);
  for (const std::size_t i : {1U, 2U}) {
    auto header = rows[i].header();
    header.fragment = static_cast<std::uint32_t>(3 - i);
    rows[i].set_header(header);
  }
  store(rows);
  note(orders_, 1);
  std::uint64_t from = 0;
  batch_builder batch{{}};
  EXPECT_THAT(reader().read_partition(orders_, 1, from, UINT64_MAX, batch), fails_with(errc::damaged));
}

TEST_F(DamagedJournal, IsNoticedWhereARowIsMissing) {
  for (std::uint64_t i = 0; i < log_index::window; ++i) append(orders_, 0, {"more"}, 100);
  erase(1);
  std::uint64_t from = 0;
  std::vector<seen_record> got;
  const auto done = read(from, got);
  ASSERT_THAT(done, fails_with(errc::damaged));
  EXPECT_THAT(done.error().message(), HasSubstr("partition 0 offset 0"));
  EXPECT_EQ(from, 0U);
}

TEST_F(DamagedJournal, IsNoticedWhenATimeIsLookedFor) {
  // Its times are made to differ, so that the records themselves must be looked at.
  auto rows = encoded(orders_, 1, {"a", "b"}, 100);
  auto header = rows[0].header();
  header.time_last = 200;
  rows[0].set_header(header);
  store(rows);
  note(orders_, 1);
  spoil(rows[0].sequence, sizeof(storage::row_header) + 20);
  EXPECT_THAT(reader().find_time(orders_, 1, 150), fails_with(errc::damaged));
}

struct model_row {
  std::uint64_t sequence = 0;
  std::vector<seen_record> records;
};

class RandomJournal : public JournalReader, public ::testing::WithParamInterface<std::uint32_t> {
 protected:
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  std::string value() {
    static constexpr std::size_t sizes[] = {0, 8, 50, 300, 900, 1904, 1905, 2500, 4000, 9000};
    std::string text(below(4) == 0 ? sizes[below(10)] : below(60), static_cast<char>('a' + below(26)));
    if (!text.empty()) text[text.size() / 2] = static_cast<char>('A' + below(26));
    return text;
  }
  /// Appends to random logs; the model gets what goes to orders_.
  void fill(int commits) {
    std::int64_t time = 1000;
    for (int i = 0; i < commits; ++i) {
      if (below(40) == 0) skip_sequences(below(200));  // as if rows of a third log stood there
      if (below(3) == 0) time += below(4);
      std::vector<std::string> values(1 + (below(5) == 0 ? below(30) : below(2)));
      for (auto& v : values) v = value();
      if (below(3) == 0) {
        append(other_, 0, values, time);
        continue;
      }
      const std::uint32_t partition = below(2);
      const std::uint64_t first = orders_.end(partition);
      auto rows = encoded(orders_, partition, values, time);
      std::size_t next = 0;
      for (const auto& row : rows) {
        model_row expected{row.sequence, {}};
        for (std::uint32_t k = 0; k < row.header().count; ++k, ++next) {
          expected.records.push_back({partition, first + next, time, values[next]});
        }
        if (!expected.records.empty()) model_.push_back(std::move(expected));
      }
      ASSERT_EQ(next, values.size());
      store(rows);
      note(orders_, partition);
    }
    time_ = time;
  }
  std::vector<seen_record> partition_from(std::uint32_t partition, std::uint64_t from) const {
    std::vector<seen_record> all;
    for (const auto& row : model_) {
      for (const auto& r : row.records) {
        if (r.partition == partition && r.offset >= from) all.push_back(r);
      }
    }
    return all;
  }
  batch_builder::limits limits() {
    batch_builder::limits most;
    if (below(2) == 0) most.records = 1 + below(20);
    if (below(2) == 0) most.bytes = 1 + below(6000);
    return most;
  }

  std::mt19937 random_{GetParam()};
  std::vector<model_row> model_;
  std::int64_t time_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Seeds, RandomJournal, ::testing::Range(1U, 5U));

TEST_P(RandomJournal, IsReadAsWritten) {
  fill(250);
  for (int i = 0; i < 40; ++i) {
    const std::uint32_t partition = below(2);
    const std::uint64_t end = orders_.end(partition);
    std::uint64_t from = below(static_cast<std::uint32_t>(end) + 1);
    const auto expected = partition_from(partition, from);
    ASSERT_EQ(read_partition(orders_, partition, from, limits()), expected);
    ASSERT_EQ(from, end);
  }
  for (int i = 0; i < 40; ++i) {
    std::uint64_t from = below(3) == 0 ? 0 : below(static_cast<std::uint32_t>(next_sequence()));
    const std::uint64_t until = below(3) == 0 ? from + below(100) : next_sequence();
    std::vector<seen_record> expected;
    for (const auto& row : model_) {
      if (row.sequence < from || row.sequence >= until) continue;
      expected.insert(expected.end(), row.records.begin(), row.records.end());
    }
    const std::uint64_t began = from;
    ASSERT_EQ(read_log(orders_, from, until, limits()), expected) << "from " << began << " until " << until;
  }
  for (int i = 0; i < 40; ++i) {
    const std::uint32_t partition = below(2);
    const std::int64_t time = 998 + below(static_cast<std::uint32_t>(time_ - 995));
    const auto all = partition_from(partition, 0);
    const auto first =
        std::find_if(all.begin(), all.end(), [time](const seen_record& r) { return r.time >= time; });
    ASSERT_EQ(ok(reader().find_time(orders_, partition, time)),
              first == all.end() ? all.size() : first->offset);
  }
}

}  // namespace
}  // namespace levada::log::test
