#include <crash/power_cut.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace levada::crash {
namespace {

using testing::Contains;
using testing::HasSubstr;

power_cut_summary cut_power(const power_cut_options& options) {
  auto summary = run_power_cuts(options);
  EXPECT_EQ(summary.states, options.states);
  return summary;
}

class PowerCut : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerCut, LosesNothingAcknowledgedAndLeavesAStoreThatOpens) {
  const auto summary = cut_power({.seed = GetParam(), .states = 100});
  EXPECT_EQ(summary.states_in_violation, 0U) << to_text(summary);
  // What would show that nothing was shown.
  EXPECT_GT(summary.states_in_creation, 0U);
  EXPECT_GT(summary.sealings, 10U) << to_text(summary);
  EXPECT_GT(summary.segments, summary.sealings) << to_text(summary);
  EXPECT_GT(summary.states_in_sealing, 10U) << to_text(summary);
  EXPECT_GT(summary.states_with_faults, 30U) << to_text(summary);
  EXPECT_GT(summary.injected.writes_lost, 0U);
  EXPECT_GT(summary.injected.writes_torn, 0U);
  EXPECT_GT(summary.injected.names_lost, 0U);
  EXPECT_GT(summary.checked.records, 0U);
  EXPECT_GT(summary.checked.commits, 0U);
  EXPECT_GT(summary.checked.settlements, 0U);
}
INSTANTIATE_TEST_SUITE_P(Seeds, PowerCut, testing::Values(1, 2, 3));

TEST(PlantedFault, AcknowledgingBeforeTheCommitLosesRecordsInAPowerCut) {
  const auto summary = cut_power({.states = 100, .planted = planted_fault::ack_before_publish});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("is lost"))) << to_text(summary);
}

TEST(PlantedFault, IgnoredSyncsOfFilesDamageTheStoreInAPowerCut) {
  const auto summary = cut_power({.states = 50, .ignored = ignored_syncs::of_files});
  EXPECT_GT(summary.states_in_violation, 10U) << to_text(summary);
}

TEST(PlantedFault, IgnoredSyncsOfDirectoriesLoseTheStoreInAPowerCut) {
  const auto summary = cut_power({.states = 50, .ignored = ignored_syncs::of_directories});
  EXPECT_GT(summary.states_in_violation, 10U) << to_text(summary);
  EXPECT_THAT(summary.violations, Contains(HasSubstr("there is none"))) << to_text(summary);
}

TEST(PlantedFault, IgnoredSyncsOfSegmentsLoseRecordsInAPowerCut) {
  const auto summary = cut_power({.states = 50, .ignored = ignored_syncs::of_segments});
  EXPECT_GT(summary.states_in_violation, 10U) << to_text(summary);
  EXPECT_THAT(summary.violations, Contains(HasSubstr("segment"))) << to_text(summary);
}

TEST(PlantedFault, IgnoredSyncsOfTheNamesOfSegmentsLoseRecordsInAPowerCut) {
  const auto summary = cut_power({.states = 50, .ignored = ignored_syncs::of_segment_names});
  EXPECT_GT(summary.states_in_violation, 10U) << to_text(summary);
  EXPECT_THAT(summary.violations, Contains(HasSubstr("segment"))) << to_text(summary);
}

}  // namespace
}  // namespace levada::crash
