// Random operations on a bus and on a plain model of it, whose answers must agree; and what was sent and read
// must keep the invariants of Jepsen's Kafka workload. `levada_model_campaign walk` makes more of them, or
// repeats one.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include <support/sanitizers.hpp>

#include "model_walk.hpp"

namespace levada::test {
namespace {

/// In parts, which are run in parallel.
class Model : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  static constexpr std::uint32_t seeds = under_sanitizer ? 5 : 50;
};

INSTANTIATE_TEST_SUITE_P(Parts, Model, ::testing::Range(std::uint32_t{0}, std::uint32_t{4}));

TEST_P(Model, AgreesWithTheBusOverRandomOperations) {
  walk_counts counts;
  for (std::uint32_t seed = 1 + GetParam() * seeds; seed <= (1 + GetParam()) * seeds; ++seed) {
    const auto wrong = walk_once(seed, 1000, counts);
    ASSERT_EQ(wrong, "") << "repeat with: levada_model_campaign walk --seeds 1 --seed " << seed;
  }
  if (under_sanitizer) return;  // too few for each to be sure to come
  EXPECT_GT(std::min({counts.polled, counts.handed_over, counts.crashes, counts.transactions, counts.undone,
                      counts.conflicts, counts.not_assigned}),
            0U)
      << to_text(counts);
}

}  // namespace
}  // namespace levada::test
