#include <crash/processing_kill.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace levada::crash {
namespace {

using testing::Contains;
using testing::HasSubstr;

class ProcessingKill : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ProcessingKill, MakesOfEachRecordWhatItShallExactlyOnce) {
  const auto summary = run_processing_kills({.seed = GetParam(), .kills = 8});
  EXPECT_TRUE(summary.violations.empty()) << to_text(summary);
  EXPECT_EQ(summary.records_in, summary.records_out) << to_text(summary);
  // What would show that nothing was shown.
  EXPECT_GT(summary.kills_with_progress, 0U) << to_text(summary);
  EXPECT_GT(summary.records_in, 0U) << to_text(summary);
}
INSTANTIATE_TEST_SUITE_P(Seeds, ProcessingKill, testing::Values(1, 2));

TEST(SharingKill, MakesOfEachRecordWhatItShallExactlyOnce) {
  const auto summary = run_processing_kills({.seed = 3, .kills = 8, .shares = true});
  EXPECT_TRUE(summary.violations.empty()) << to_text(summary);
  EXPECT_EQ(summary.records_in, summary.records_out) << to_text(summary);
  EXPECT_GT(summary.kills_with_progress, 0U) << to_text(summary);
  EXPECT_GT(summary.records_in, 0U) << to_text(summary);
}

TEST(PlantedFault, AcknowledgementsApartFromTheirTransactionShowAsDuplicates) {
  const auto summary =
      run_processing_kills({.seed = 1, .kills = 12, .shares = true, .planted_offsets_apart = true});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("has come out twice"))) << to_text(summary);
}

TEST(PlantedFault, OffsetsCommittedApartFromTheirTransactionShowAsDuplicates) {
  const auto summary = run_processing_kills({.seed = 1, .kills = 12, .planted_offsets_apart = true});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("has come out twice"))) << to_text(summary);
}

}  // namespace
}  // namespace levada::crash
