#include <levada/partitioner.hpp>
#include <levada/publishing.hpp>

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace levada::test {
namespace {

using ::testing::ElementsAre;

using factory = std::shared_ptr<partitioner> (*)();

class KeyPartitioner : public ::testing::TestWithParam<factory> {
 protected:
  std::uint32_t choose(const record& r, std::uint32_t partitions = 3) {
    return chooses_->choose(r, partitions).value();
  }
  const std::shared_ptr<partitioner> chooses_ = GetParam()();
};

INSTANTIATE_TEST_SUITE_P(Kinds, KeyPartitioner, ::testing::Values(&key_partitioner, &sticky_partitioner),
                         [](const auto& of) { return of.index == 0 ? "Key" : "Sticky"; });

TEST_P(KeyPartitioner, GoesByTheKey) {
  for (const std::string key : {"a", "b", "line-7", ""}) {
    EXPECT_EQ(choose(record{key, "x"}, 8), partition_for_key(key, 8).value());
    chooses_->batch_ended();
    EXPECT_EQ(choose(record::tombstone(key), 8), partition_for_key(key, 8).value());
  }
}

TEST_P(KeyPartitioner, SendsRecordsWithoutKeyOfOneBatchToOnePartitionEachInTurn) {
  std::vector<std::uint32_t> chosen;
  for (int batch = 0; batch < 4; ++batch) {
    for (int i = 0; i < 2; ++i) chosen.push_back(choose(record{"x"}));
    chooses_->batch_ended();
  }
  EXPECT_THAT(chosen, ElementsAre(0, 0, 1, 1, 2, 2, 0, 0));
}

TEST_P(KeyPartitioner, LeavesItsTurnWhereABatchHadKeysOnly) {
  EXPECT_EQ(choose(record{"x"}), 0U);
  chooses_->batch_ended();
  static_cast<void>(choose(record{"a", "x"}));
  chooses_->batch_ended();
  EXPECT_EQ(choose(record{"x"}), 1U);
}

}  // namespace
}  // namespace levada::test
