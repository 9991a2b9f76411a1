#include <levada/partitioner.hpp>
#include <levada/publishing.hpp>

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace levada::test {
namespace {

using ::testing::ElementsAre;

std::uint32_t choose(partitioner& by, const record& r, std::uint32_t partitions = 3) {
  return by.choose(r, partitions).value();
}

/// What is chosen for four batches of two records.
std::vector<std::uint32_t> choices(partitioner& by, const record& r) {
  std::vector<std::uint32_t> chosen;
  for (int batch = 0; batch < 4; ++batch) {
    for (int i = 0; i < 2; ++i) chosen.push_back(choose(by, r));
    by.batch_ended();
  }
  return chosen;
}

TEST(KeyPartitioner, GoesByTheKey) {
  const auto by = key_partitioner();
  for (const std::string key : {"a", "b", "line-7", ""}) {
    EXPECT_EQ(choose(*by, record{key, "x"}, 8), partition_for_key(key, 8).value());
    by->batch_ended();
    EXPECT_EQ(choose(*by, record::tombstone(key), 8), partition_for_key(key, 8).value());
  }
}

TEST(KeyPartitioner, SendsRecordsWithoutKeyOfOneBatchToOnePartitionEachInTurn) {
  EXPECT_THAT(choices(*key_partitioner(), record{"x"}), ElementsAre(0, 0, 1, 1, 2, 2, 0, 0));
}

TEST(KeyPartitioner, LeavesItsTurnWhereABatchHadKeysOnly) {
  const auto by = key_partitioner();
  EXPECT_EQ(choose(*by, record{"x"}), 0U);
  by->batch_ended();
  static_cast<void>(choose(*by, record{"a", "x"}));
  by->batch_ended();
  EXPECT_EQ(choose(*by, record{"x"}), 1U);
}

TEST(StickyPartitioner, SendsWholeBatchesToOnePartitionEachInTurnWhateverTheirKeys) {
  EXPECT_THAT(choices(*sticky_partitioner(), record{"x"}), ElementsAre(0, 0, 1, 1, 2, 2, 0, 0));
  EXPECT_THAT(choices(*sticky_partitioner(), record{"a", "x"}), ElementsAre(0, 0, 1, 1, 2, 2, 0, 0));
}

}  // namespace
}  // namespace levada::test
