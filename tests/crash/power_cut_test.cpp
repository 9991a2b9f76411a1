#include <crash/power_cut.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include <crash/evidence.hpp>

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

evidence find_evidence(const power_cut_options& options, const power_cut_summary& s) {
  evidence shown;
  shown.need(s.states_in_creation, 0, "cuts while the store is made");
  shown.need(s.sealings, 10, "sealings");
  shown.need(s.segments, s.sealings, "sealings of several segments");
  shown.need(s.segments_removed, 10, "segments removed");
  shown.need(s.states_in_sealing, 10, "cuts during a sealing");
  shown.need(s.states_in_removal, 5, "cuts around a removal");
  shown.need(s.states_in_flush, 3, "cuts during a sync");
  shown.need(s.states_in_recovery, 10, "cuts during a recovery");
  shown.need(s.states_of_death, 3, "deaths of the process alone");
  shown.need(s.states_with_faults, 30, "states with faults");
  shown.need(s.injected.writes_lost, 0, "writes lost");
  shown.need(s.injected.writes_torn, 0, "writes torn");
  shown.need(s.injected.names_lost, 0, "names lost");
  shown.need(s.checked.records, 0, "acknowledged records");
  shown.need(s.checked.commits, 0, "committed offsets");
  shown.need(s.checked.settlements, 0, "settled messages");
  shown.need(s.checked.trims, 0, "removals of records");
  shown.need(s.checked.deletions, 0, "deletions");
  if (options.mode == durability::checkpointed) {
    shown.need(s.states_taken_back, 30, "stores taken back");
    shown.need(s.checked.flushes, 0, "syncs");
  }
  return shown;
}

class PowerCut : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerCut, LosesNothingAcknowledgedAndLeavesAStoreThatOpens) {
  cut_power_until_all_is_shown({.seed = GetParam(), .states = states_of(140)}, find_evidence);
}
INSTANTIATE_TEST_SUITE_P(Seeds, PowerCut, testing::Values(1, 2, 3, 4, 5));

class PowerCutWithCheckpoints : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerCutWithCheckpoints, TakesTheStoreBackToOneMomentSinceTheLastCheckpoint) {
  cut_power_until_all_is_shown(
      {.seed = GetParam(), .states = states_of(150), .mode = durability::checkpointed}, find_evidence);
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
