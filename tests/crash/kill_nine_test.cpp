#include <crash/kill_nine.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace levada::crash {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;

class KillNine : public testing::TestWithParam<std::uint64_t> {};

TEST_P(KillNine, LosesNothingAcknowledgedAndReturnsEveryUnsettledDelivery) {
  const auto summary = run_kills({.seed = GetParam(), .kills = 10, .kills_per_store = 5});
  EXPECT_EQ(summary.kills, 10U);
  EXPECT_EQ(summary.kills_in_violation, 0U) << to_text(summary);
  // What would show that nothing was shown.
  EXPECT_GT(summary.kills_in_operation, 0U) << to_text(summary);
  EXPECT_GT(summary.kills_with_checkpoints, 0U) << to_text(summary);
  EXPECT_GT(summary.segments, 0U) << to_text(summary);
  EXPECT_GT(summary.checked.records, 0U);
  EXPECT_GT(summary.checked.commits, 0U);
  EXPECT_GT(summary.checked.settlements, 0U);
}
INSTANTIATE_TEST_SUITE_P(Seeds, KillNine, testing::Values(1, 2, 3));

std::vector<std::string> violations_of(planted_fault planted) {
  return run_kills({.kills = 8, .kills_per_store = 4, .planted = planted}).violations;
}

TEST(PlantedFault, RecordNeverPublishedIsFoundLostAfterAKill) {
  EXPECT_THAT(violations_of(planted_fault::ack_without_publish), Contains(HasSubstr("is lost")));
}

TEST(PlantedFault, MessageNeverAckedIsFoundAgainAfterAKill) {
  EXPECT_THAT(violations_of(planted_fault::settle_without_ack), Contains(HasSubstr("has come back")));
}

TEST(PlantedFault, OffsetNeverCommittedIsFoundMissingAfterAKill) {
  EXPECT_THAT(violations_of(planted_fault::commit_without_commit),
              Contains(AnyOf(HasSubstr("is gone"), HasSubstr("has gone back"))));
}

}  // namespace
}  // namespace levada::crash
