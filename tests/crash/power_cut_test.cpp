#include <crash/power_cut.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <support/sanitizers.hpp>

namespace levada::crash {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

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

/// Of what a campaign must have shown, what this one did not: without it, that nothing was violated would say
/// little.
std::set<std::string> missing_evidence(const power_cut_options& options, const power_cut_summary& s) {
  std::set<std::string> missing;
  const auto need = [&missing](std::uint64_t count, std::uint64_t more_than, const char* of_what) {
    if (count <= more_than) missing.emplace(of_what);
  };
  need(s.states_in_creation, 0, "cuts while the store is made");
  need(s.sealings, 10, "sealings");
  if (s.segments <= s.sealings) missing.emplace("sealings of several segments");
  need(s.segments_removed, 10, "segments removed");
  need(s.states_in_sealing, 10, "cuts during a sealing");
  need(s.states_in_removal, 5, "cuts around a removal");
  need(s.states_in_flush, 3, "cuts during a sync");
  need(s.states_in_recovery, 10, "cuts during a recovery");
  need(s.states_of_death, 3, "deaths of the process alone");
  need(s.states_with_faults, 30, "states with faults");
  need(s.injected.writes_lost, 0, "writes lost");
  need(s.injected.writes_torn, 0, "writes torn");
  need(s.injected.names_lost, 0, "names lost");
  need(s.checked.records, 0, "acknowledged records");
  need(s.checked.commits, 0, "committed offsets");
  need(s.checked.settlements, 0, "settled messages");
  need(s.checked.trims, 0, "removals of records");
  need(s.checked.deletions, 0, "deletions");
  if (options.mode == durability::checkpointed) {
    need(s.states_taken_back, 30, "stores taken back");
    need(s.checked.flushes, 0, "syncs");
  }
  return missing;
}

/// Threads and chance decide where a cut falls, and rarely leave one kind out: then there are more of them.
void cut_power_until_all_is_shown(power_cut_options options) {
  constexpr int rounds_max = 6;
  std::optional<std::set<std::string>> missing;
  for (int round = 0; round < rounds_max; ++round) {
    const auto summary = cut_power(options);
    ASSERT_EQ(summary.states_in_violation, 0U) << to_text(summary);
    if (test::under_sanitizer) return;  // too few states for each kind to be sure to come
    auto now = missing_evidence(options, summary);
    if (missing) std::erase_if(now, [&](const std::string& kind) { return !missing->contains(kind); });
    missing = std::move(now);
    if (missing->empty()) return;
    options.seed += 1'000;
  }
  EXPECT_THAT(*missing, IsEmpty());
}

class PowerCut : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerCut, LosesNothingAcknowledgedAndLeavesAStoreThatOpens) {
  cut_power_until_all_is_shown({.seed = GetParam(), .states = states_of(140)});
}
INSTANTIATE_TEST_SUITE_P(Seeds, PowerCut, testing::Values(1, 2, 3, 4, 5));

class PowerCutWithCheckpoints : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PowerCutWithCheckpoints, TakesTheStoreBackToOneMomentSinceTheLastCheckpoint) {
  cut_power_until_all_is_shown(
      {.seed = GetParam(), .states = states_of(150), .mode = durability::checkpointed});
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
