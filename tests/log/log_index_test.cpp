#include "log/log_index.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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
}

TEST(LogIndex, GathersTheRowsOfAWindowInOneEntry) {
  log_index index;
  index.add(10, 0, 100);
  index.add(11, 5, 100);
  index.add(10 + log_index::window - 1, 9, 101);
  ASSERT_EQ(index.size(), 1U);
  EXPECT_EQ(index[0].sequence, 10U);
  EXPECT_EQ(index[0].base_offset, 0U);
  EXPECT_EQ(index[0].time_max, 101);
  EXPECT_EQ(index[0].rows, 3U);
  index.add(10 + log_index::window, 12, 102);
  ASSERT_EQ(index.size(), 2U);
  EXPECT_EQ(index[0].rows, 3U);
  EXPECT_EQ(index[1].sequence, 10 + log_index::window);
  EXPECT_EQ(index[1].base_offset, 12U);
  EXPECT_EQ(index[1].time_max, 102);
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
  EXPECT_EQ(index_.find_time(51), 1U);
  EXPECT_EQ(index_.find_time(60), 1U) << "the first of two";
  EXPECT_EQ(index_.find_time(61), 3U);
  EXPECT_EQ(index_.find_time(70), 3U);
  EXPECT_EQ(index_.find_time(71), std::nullopt) << "none has been so late";
}

TEST(LogIndex, FindsTheFirstRecordOfATimeAlsoWhereTimesFall) {
  log_index index;
  index.add(1000, 0, 50);
  index.add(2000, 10, 90);
  index.add(3000, 20, 60);
  index.add(4000, 30, 95);
  EXPECT_EQ(index.find_time(51), 1U);
  EXPECT_EQ(index.find_time(60), 1U) << "an earlier entry holds a later record";
  EXPECT_EQ(index.find_time(91), 3U);
  index.drop_through(2000 + log_index::window, 20);
  EXPECT_EQ(index.find_time(60), 0U) << "from the first that is left";
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
    const auto by_time = index.find_time(r.time);
    ASSERT_TRUE(by_time.has_value());
    const std::uint64_t wanted = rows[first_of_time].sequence;
    ASSERT_TRUE(holds(*by_time, wanted)) << "time " << r.time;
  }
}

TEST(LogIndex, IsEmptyWhenAllOfItIsDropped) {
  log_index index;
  index.drop_through(10, 0);
  EXPECT_TRUE(index.empty());
  index.add(11, 0, 100);
  index.add(200, 5, 110);
  index.drop_through(200 + log_index::window - 1, 9);
  EXPECT_TRUE(index.empty());
  EXPECT_EQ(index.find_time(0), std::nullopt);
  index.add(300, 9, 120);
  ASSERT_EQ(index.size(), 1U);
  EXPECT_EQ(index[0].sequence, 300U);
  EXPECT_EQ(index[0].base_offset, 9U);
  EXPECT_EQ(index[0].rows, 1U);
}

TEST(LogIndex, DropsNothingBeforeItsBeginning) {
  log_index index;
  index.add(100, 3, 50);
  index.add(101, 4, 51);
  index.drop_through(99, 0);
  ASSERT_EQ(index.size(), 1U);
  EXPECT_EQ(index[0].sequence, 100U);
  EXPECT_EQ(index[0].base_offset, 3U);
  EXPECT_EQ(index[0].time_max, 51);
  EXPECT_EQ(index[0].rows, 2U);
}

TEST(LogIndex, DoesNotGrowWithWhatIsDroppedInSmallSteps) {
  log_index index;
  constexpr std::uint64_t step = log_index::window / 4;
  for (std::uint64_t row = 1; row <= 50 * log_index::window; ++row) {
    index.add(row, row * 10, 0);
    if (row % step == 0 && row > log_index::window) index.drop_through(row - log_index::window, 0);
    ASSERT_LE(index.size(), 4U) << "row " << row;
  }
}

class DroppedIndex : public ::testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, DroppedIndex, ::testing::Range(1U, 9U));

TEST_P(DroppedIndex, LeadsToEveryRowThatIsLeft) {
  struct row {
    std::uint64_t sequence;
    std::uint64_t base_offset;
    std::uint64_t end_offset;
    std::int64_t time;
  };
  std::mt19937 random{GetParam()};
  const auto up_to = [&random](std::uint64_t most) { return random() % (most + 1); };
  log_index index;
  std::vector<row> left;
  row next{1, 0, 0, 1000};
  std::uint64_t dropped = 0;
  for (int round = 0; round < 120; ++round) {
    for (std::uint64_t i = up_to(80); i > 0; --i) {
      next.end_offset = next.base_offset + 1 + up_to(5);
      left.push_back(next);
      index.add(next.sequence, next.base_offset, next.time);
      next.sequence += 1 + (up_to(9) == 0 ? up_to(300) : up_to(2));
      next.base_offset = next.end_offset;
      if (up_to(3) == 0) next.time += static_cast<std::int64_t>(up_to(5));
    }
    // Mostly within what is there, at times everything or nothing.
    dropped += up_to(3) == 0 ? 0 : up_to(next.sequence - 1 - dropped);
    std::uint64_t next_offset = 0;
    const auto kept =
        std::find_if(left.begin(), left.end(), [&](const row& r) { return r.sequence > dropped; });
    next_offset = kept == left.end() ? next.base_offset : kept->base_offset;
    left.erase(left.begin(), kept);
    index.drop_through(dropped, next_offset);

    for (std::size_t i = 0; i < index.size(); ++i) {
      ASSERT_GT(index[i].sequence, dropped) << "nothing leads to a row that is gone";
      ASSERT_TRUE(i == 0 || index[i].sequence > index[i - 1].sequence);
    }
    log_index rebuilt;
    for (const row& r : left) rebuilt.add(r.sequence, r.base_offset, r.time);
    // What is left of a window that was cut may stand in an entry of its own.
    ASSERT_LE(index.size(), 2 * rebuilt.size() + 1);

    std::size_t first_of_time = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const row& r = left[i];
      if (left[first_of_time].time != r.time) first_of_time = i;
      // The row is among those that are read for the entry, as `journal_reader` reads them.
      const auto leads_to = [&](std::size_t e) {
        if (index[e].sequence > r.sequence || r.sequence - index[e].sequence >= log_index::window)
          return false;
        const auto rows = std::count_if(left.begin(), left.end(), [&](const row& other) {
          return other.sequence >= index[e].sequence && other.sequence <= r.sequence;
        });
        return static_cast<std::uint64_t>(rows) <= index[e].rows;
      };
      for (const std::uint64_t offset : {r.base_offset, r.end_offset - 1}) {
        const auto found = index.find_offset(offset);
        ASSERT_TRUE(found.has_value()) << "offset " << offset;
        ASSERT_TRUE(leads_to(*found)) << "offset " << offset << " in round " << round;
      }
      const std::int64_t earlier = i == 0 ? r.time - 1 : left[first_of_time].time;
      for (const std::int64_t time : {earlier, r.time}) {
        const auto by_time = index.find_time(time);
        ASSERT_TRUE(by_time.has_value());
        const std::uint64_t wanted = left[first_of_time].sequence;
        ASSERT_LE(index[*by_time].sequence, wanted) << "time " << time;
      }
    }
  }
}

storage::log_entry orders(std::uint32_t partitions) {
  storage::log_entry entry;
  entry.id = 9;
  entry.name = "orders";
  entry.partitions = partitions;
  return entry;
}

TEST(LogState, ForgetsRowsThatAreSealedAndKeepsTheRest) {
  log_state log{orders(2)};
  log.add_row(1, 0, 0, 2, 100);
  log.add_row(2, 1, 0, 3, 101);
  log.add_row(3, 0, 2, 1, 102);
  log.add_row(4, 1, 3, 1, 103);
  EXPECT_EQ(log.sealed_through(), 0U);
  const auto part = [](std::uint32_t partition, std::uint64_t base, std::uint64_t end) {
    sealed_part p;
    p.where.log = 9;
    p.where.partition = partition;
    p.where.base_offset = base;
    p.where.end_offset = end;
    return p;
  };
  log.add_sealed(part(0, 0, 2));
  log.add_sealed(part(1, 0, 3));
  log.drop_rows_through(2);
  EXPECT_EQ(log.sealed_through(), 2U);
  ASSERT_EQ(log.index(0).size(), 1U);
  EXPECT_EQ(log.index(0)[0].sequence, 3U);
  EXPECT_EQ(log.index(0)[0].base_offset, 2U);
  EXPECT_EQ(log.index(1)[0].base_offset, 3U);
  EXPECT_EQ(log.end(0), 3U) << "the end does not depend on where records stand";
  EXPECT_EQ(log.find_sealed(0, 0)->where.end_offset, 2U);
  EXPECT_EQ(log.find_sealed(0, 1)->where.end_offset, 2U);
  EXPECT_FALSE(log.find_sealed(0, 2).has_value());

  log.add_sealed(part(0, 2, 5));
  EXPECT_EQ(log.end(0), 5U) << "a part may hold more than is known";
  EXPECT_EQ(log.find_sealed(0, 2)->where.base_offset, 2U);
  EXPECT_EQ(log.find_sealed(0, 1)->where.base_offset, 0U);
  log.drop_sealed([](const sealed_part& p) { return p.where.base_offset == 0; });
  EXPECT_EQ(log.find_sealed(0, 0)->where.base_offset, 2U);
  EXPECT_THAT(log.sealed(1), ::testing::IsEmpty());
}

TEST(LogState, EndsWhereItBeginsWhenEverythingIsRemoved) {
  log_state log{orders(1)};
  log.set_begin(0, 10);
  EXPECT_EQ(log.begin(0), 10U);
  EXPECT_EQ(log.end(0), 10U);
  log.add_row(5, 0, 10, 4, 100);
  log.set_begin(0, 12);
  EXPECT_EQ(log.end(0), 14U);
}

TEST(LogState, KeepsEachPartitionsEndAndRows) {
  log_state log{orders(3)};
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
}

}  // namespace
}  // namespace levada::log::test
