#include <levada/partitioner.hpp>

#include <vector>

#include <gmock/gmock.h>

namespace levada::test {
namespace {

TEST(RoundRobinPartitioner, TakesEachPartitionInTurnWhateverTheKey) {
  const auto chooses = round_robin_partitioner();
  std::vector<std::uint32_t> chosen;
  for (int i = 0; i < 7; ++i) {
    chosen.push_back(chooses->choose(i % 2 == 0 ? record{"same", "x"} : record{"x"}, 3).value());
    chooses->batch_ended();
  }
  EXPECT_THAT(chosen, ::testing::ElementsAre(0, 1, 2, 0, 1, 2, 0));
}

}  // namespace
}  // namespace levada::test
