#include "log/log_index.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "log/log_state.hpp"

namespace levada::log::test {
namespace {

TEST(LogIndex, FindsNothingWhenEmpty) {
  const log_index index;
  EXPECT_TRUE(index.empty());
  EXPECT_EQ(index.size(), 0U);
  EXPECT_EQ(index.find_offset(0), std::nullopt);
  EXPECT_EQ(index.find_time(0), std::nullopt);
  EXPECT_EQ(index.find_sequence(0), std::nullopt);
}

TEST(LogIndex, GathersTheRowsOfAWindowInOneEntry) {
  log_index index;
  index.add(10, 0, 100);
  index.add(11, 5, 100);
  index.add(10 + log_index::window - 1, 9, 101);
  ASSERT_EQ(index.size(), 1U);
  EXPECT_EQ(index[0].sequence, 10U);
  EXPECT_EQ(index[0].base_offset, 0U);
  EXPECT_EQ(index[0].time_first, 100);
  EXPECT_EQ(index[0].rows, 3U);
  index.add(10 + log_index::window, 12, 102);
  ASSERT_EQ(index.size(), 2U);
  EXPECT_EQ(index[0].rows, 3U);
  EXPECT_EQ(index[1].sequence, 10 + log_index::window);
  EXPECT_EQ(index[1].base_offset, 12U);
  EXPECT_EQ(index[1].time_first, 102);
  EXPECT_EQ(index[1].rows, 1U);
}

TEST(LogIndex, GrowsWithTheJournalAndNotWithTheRows) {
  log_index index;
  for (std::uint64_t row = 0; row < 100 * log_index::window; ++row) index.add(row, row * 10, 0);
  EXPECT_EQ(index.size(), 100U);
}

class FilledIndex : public ::testing::Test {
 protected:
  FilledIndex() {
    index_.add(1000, 3, 50);
    index_.add(2000, 10, 60);
    index_.add(3000, 20, 60);
    index_.add(4000, 30, 70);
  }
  log_index index_;
};

TEST_F(FilledIndex, FindsTheEntryThatHoldsAnOffset) {
  EXPECT_EQ(index_.find_offset(2), std::nullopt) << "before the beginning";
  EXPECT_EQ(index_.find_offset(3), 0U);
  EXPECT_EQ(index_.find_offset(9), 0U);
  EXPECT_EQ(index_.find_offset(10), 1U);
  EXPECT_EQ(index_.find_offset(29), 2U);
  EXPECT_EQ(index_.find_offset(30), 3U);
  EXPECT_EQ(index_.find_offset(UINT64_MAX), 3U);
}

TEST_F(FilledIndex, FindsTheEntryToLookForATimeFrom) {
  EXPECT_EQ(index_.find_time(INT64_MIN), 0U);
  EXPECT_EQ(index_.find_time(50), 0U);
  EXPECT_EQ(index_.find_time(51), 0U) << "the entry's later rows may hold it";
  EXPECT_EQ(index_.find_time(60), 0U) << "records of time 60 may stand in the entry before";
  EXPECT_EQ(index_.find_time(61), 2U);
  EXPECT_EQ(index_.find_time(70), 2U);
  EXPECT_EQ(index_.find_time(71), 3U);
}

TEST_F(FilledIndex, FindsTheEntryToLookForASequenceFrom) {
  EXPECT_EQ(index_.find_sequence(0), 0U);
  EXPECT_EQ(index_.find_sequence(1999), 0U);
  EXPECT_EQ(index_.find_sequence(2000), 1U);
  EXPECT_EQ(index_.find_sequence(4001), 3U);
}

TEST(LogIndex, LeadsToEveryRowThatWasAdded) {
  struct row {
    std::uint64_t sequence;
    std::uint64_t base_offset;
    std::int64_t time;
  };
  std::mt19937 random{7};
  const auto up_to = [&random](std::uint32_t most) {
    return static_cast<std::uint32_t>(random() % (most + 1));
  };
  log_index index;
  std::vector<row> rows;
  row next{1, 0, 1000};
  for (int i = 0; i < 3000; ++i) {
    rows.push_back(next);
    index.add(next.sequence, next.base_offset, next.time);
    next.sequence += 1 + (up_to(9) == 0 ? up_to(300) : up_to(2));
    next.base_offset += 1 + up_to(20);
    next.time += up_to(3) == 0 ? up_to(5) : 0;
  }
  std::size_t counted = 0;
  for (std::size_t i = 0; i < index.size(); ++i) counted += index[i].rows;
  EXPECT_EQ(counted, rows.size());
  const auto holds = [&](std::size_t entry, std::uint64_t sequence) {
    return index[entry].sequence <= sequence && sequence - index[entry].sequence < log_index::window;
  };
  std::size_t first_of_time = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const row& r = rows[i];
    if (rows[first_of_time].time != r.time) first_of_time = i;
    const auto by_offset = index.find_offset(r.base_offset);
    ASSERT_TRUE(by_offset.has_value());
    ASSERT_TRUE(holds(*by_offset, r.sequence)) << "offset " << r.base_offset;
    const auto by_sequence = index.find_sequence(r.sequence);
    ASSERT_TRUE(by_sequence.has_value());
    ASSERT_TRUE(holds(*by_sequence, r.sequence)) << "sequence " << r.sequence;
    const auto by_time = index.find_time(r.time);
    ASSERT_TRUE(by_time.has_value());
    const std::uint64_t wanted = rows[first_of_time].sequence;
    const bool begins_the_next = *by_time + 1 < index.size() && index[*by_time + 1].sequence == wanted;
    ASSERT_TRUE(holds(*by_time, wanted) || begins_the_next) << "time " << r.time;
  }
}

TEST(LogState, KeepsEachPartitionsEndAndRows) {
  log_state log{9, "orders", 3, 0};
  EXPECT_EQ(log.id(), 9U);
  EXPECT_EQ(log.name(), "orders");
  EXPECT_EQ(log.partitions(), 3U);
  EXPECT_EQ(log.exchange(), 0U);
  log.add_row(5, 1, 0, 4, 70);
  log.add_row(6, 2, 0, 1, 71);
  log.add_row(500, 1, 4, 2, 72);
  EXPECT_EQ(log.end(0), 0U);
  EXPECT_EQ(log.end(1), 6U);
  EXPECT_EQ(log.end(2), 1U);
  EXPECT_TRUE(log.index(0).empty());
  ASSERT_EQ(log.index(1).size(), 2U);
  EXPECT_EQ(log.index(1)[1].sequence, 500U);
  EXPECT_EQ(log.index(1)[1].base_offset, 4U);
  EXPECT_EQ(log.index(2).size(), 1U);
  ASSERT_EQ(log.whole().size(), 2U);
  EXPECT_EQ(log.whole()[0].sequence, 5U);
  EXPECT_EQ(log.whole()[0].rows, 2U);
  EXPECT_EQ(log.whole()[1].time_first, 72);
}

}  // namespace
}  // namespace levada::log::test
