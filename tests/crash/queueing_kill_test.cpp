#include <crash/queueing_kill.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace levada::crash {
namespace {

using testing::Contains;
using testing::HasSubstr;

class QueueingKill : public testing::TestWithParam<std::uint64_t> {};

TEST_P(QueueingKill, LeavesEachMessageInOnePlace) {
  const auto summary = run_queueing_kills({.seed = GetParam(), .kills = 10});
  EXPECT_TRUE(summary.violations.empty()) << to_text(summary);
  // What would show that nothing was shown.
  EXPECT_GT(summary.kills_with_progress, 0U) << to_text(summary);
  EXPECT_GT(summary.acknowledged, 0U) << to_text(summary);
  EXPECT_GT(summary.dead_letters, 0U) << to_text(summary);
}
INSTANTIATE_TEST_SUITE_P(Seeds, QueueingKill, testing::Values(1, 2));

TEST(PlantedFault, DeadLettersMadeInTwoStepsAreDoubledByAKill) {
  const auto summary = run_queueing_kills({.seed = 1, .kills = 8, .planted_two_steps = true});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("is there"))) << to_text(summary);
}

}  // namespace
}  // namespace levada::crash
