#include <crash/power_cut.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <support/sanitizers.hpp>

namespace levada::crash {
namespace {

using testing::Contains;
using testing::HasSubstr;

power_cut_summary cut_power(const power_cut_options& options) {
  auto summary = run_power_cuts(options);
  if (options.until_violation_says.empty()) {
    EXPECT_EQ(summary.states, options.states);
  }
  return summary;
}

/// How many power cuts take a test some seconds.
constexpr std::uint64_t states_of(std::uint64_t states) {
  return test::under_sanitizer ? states / 4 : states;
}

/// What would show that nothing was shown.
void expect_evidence(const power_cut_summary& summary) {
  if (test::under_sanitizer) return;  // too few states for each kind to be sure to come
  EXPECT_GT(summary.states_in_creation, 0U) << to_text(summary);
  EXPECT_GT(summary.sealings, 10U) << to_text(summary);
  EXPECT_GT(summary.segments, summary.sealings) << to_text(summary);
  EXPECT_GT(summary.segments_removed, 10U) << to_text(summary);
  EXPECT_GT(summary.states_in_sealing, 10U) << to_text(summary);
  EXPECT_GT(summary.states_in_removal, 5U) << to_text(summary);
  EXPECT_GT(summary.states_in_flush, 3U) << to_text(summary);
  EXPECT_GT(summary.states_in_recovery, 10U) << to_text(summary);
  EXPECT_GT(summary.states_of_death, 3U) << to_text(summary);
  EXPECT_GT(summary.states_with_faults, 30U) << to_text(summary);
  EXPECT_GT(summary.injected.writes_lost, 0U) << to_text(summary);
  EXPECT_GT(summary.injected.writes_torn, 0U) << to_text(summary);
  EXPECT_GT(summary.injected.names_lost, 0U) << to_text(summary);
  EXPECT_GT(summary.checked.records, 0U) << to_text(summary);
  EXPECT_GT(summary.checked.commits, 0U) << to_text(summary);
  EXPECT_GT(summary.checked.settlements, 0U) << to_text(summary);
  EXPECT_GT(summary.checked.trims, 0U) << to_text(summary);
  EXPECT_GT(summary.checked.deletions, 0U) << to_text(summary);
}

class PowerCut : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerCut, LosesNothingAcknowledgedAndLeavesAStoreThatOpens) {
  const auto summary = cut_power({.seed = GetParam(), .states = states_of(140)});
  EXPECT_EQ(summary.states_in_violation, 0U) << to_text(summary);
  expect_evidence(summary);
}
INSTANTIATE_TEST_SUITE_P(Seeds, PowerCut, testing::Values(1, 2, 3, 4, 5));

class PowerCutWithCheckpoints : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerCutWithCheckpoints, TakesTheStoreBackToOneMomentSinceTheLastCheckpoint) {
  const auto summary =
      cut_power({.seed = GetParam(), .states = states_of(150), .mode = durability::checkpointed});
  EXPECT_EQ(summary.states_in_violation, 0U) << to_text(summary);
  expect_evidence(summary);
  EXPECT_GT(summary.states_taken_back, states_of(30)) << to_text(summary);
  EXPECT_GT(summary.checked.flushes, 0U) << to_text(summary);
}
INSTANTIATE_TEST_SUITE_P(Seeds, PowerCutWithCheckpoints, testing::Values(1, 2));

TEST(PlantedFault, AcknowledgingBeforeTheCommitLosesRecordsInAPowerCut) {
  const auto summary = cut_power({.seed = 2,
                                  .states = 2000,
                                  .operations = 200,
                                  .planted = planted_fault::ack_before_publish,
                                  .until_violation_says = "is lost"});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("is lost"))) << to_text(summary);
}

TEST(PlantedFault, IgnoredSyncsOfFilesDamageTheStoreInAPowerCut) {
  const auto summary = cut_power({.states = 50, .ignored = ignored_syncs::of_files});
  EXPECT_GT(summary.states_in_violation, 5U) << to_text(summary);
}

TEST(PlantedFault, IgnoredSyncsOfDirectoriesLoseTheStoreInAPowerCut) {
  const auto summary = cut_power({.states = 50, .ignored = ignored_syncs::of_directories});
  EXPECT_GT(summary.states_in_violation, 5U) << to_text(summary);
  EXPECT_THAT(summary.violations, Contains(HasSubstr("there is none"))) << to_text(summary);
}

TEST(PlantedFault, IgnoredSyncsOfSegmentsLoseRecordsInAPowerCut) {
  const auto summary = cut_power({.states = 50, .ignored = ignored_syncs::of_segments});
  EXPECT_GT(summary.states_in_violation, 3U) << to_text(summary);
  EXPECT_THAT(summary.violations, Contains(HasSubstr("segment"))) << to_text(summary);
}

TEST(PlantedFault, IgnoredSyncsOfTheNamesOfSegmentsLoseRecordsInAPowerCut) {
  const auto summary = cut_power({.states = 50, .ignored = ignored_syncs::of_segment_names});
  EXPECT_GT(summary.states_in_violation, 3U) << to_text(summary);
  EXPECT_THAT(summary.violations, Contains(HasSubstr("segment"))) << to_text(summary);
}

TEST(PlantedFault, IgnoredSyncsOfCheckpointsTakeTheStoreBackTooFarInAPowerCut) {
  const auto summary =
      cut_power({.states = 50, .mode = durability::checkpointed, .ignored = ignored_syncs::of_checkpoints});
  EXPECT_GT(summary.states_in_violation, 3U) << to_text(summary);
}

TEST(PlantedFault, SegmentsRemovedBeforeTheCommitThatDropsThemAreMissingAfterAPowerCut) {
  const auto summary = cut_power({.states = 2000,
                                  .wrong_order = disorder::removals_before_commits,
                                  .until_violation_says = "is missing"});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("is missing"))) << to_text(summary);
}

TEST(PlantedFault, SegmentsRemovedBeforeTheCheckpointAreMissingAfterAPowerCut) {
  const auto summary = cut_power({.states = 2000,
                                  .mode = durability::checkpointed,
                                  .wrong_order = disorder::removals_before_checkpoints,
                                  .until_violation_says = "is missing"});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("is missing"))) << to_text(summary);
}

TEST(PlantedFault, CheckpointsWrittenBeforeTheirDataAreRefusedAfterAPowerCut) {
  const auto summary = cut_power({.states = 2000,
                                  .mode = durability::checkpointed,
                                  .wrong_order = disorder::checkpoints_before_data,
                                  .until_violation_says = "does not hold the snapshot"});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("does not hold the snapshot"))) << to_text(summary);
}

}  // namespace
}  // namespace levada::crash
