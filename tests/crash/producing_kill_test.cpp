#include <crash/producing_kill.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace levada::crash {
namespace {

using testing::Contains;
using testing::HasSubstr;

class ProducingKill : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ProducingKill, StoresWhatIsSentAgainExactlyOnce) {
  const auto summary = run_producing_kills({.seed = GetParam(), .kills = 10});
  EXPECT_TRUE(summary.violations.empty()) << to_text(summary);
  EXPECT_EQ(summary.records, summary.acknowledged) << to_text(summary);
  // What would show that nothing was shown.
  EXPECT_GT(summary.kills_with_progress, 0U) << to_text(summary);
  EXPECT_GT(summary.sent_again, 0U) << to_text(summary);
}
INSTANTIATE_TEST_SUITE_P(Seeds, ProducingKill, testing::Values(1, 2));

std::vector<std::string> violations_of(producing_fault planted) {
  return run_producing_kills({.seed = 1, .kills = 6, .planted = planted}).violations;
}

TEST(PlantedFault, RecordsSentAgainUnderAFreshIdShowAsDuplicates) {
  EXPECT_THAT(violations_of(producing_fault::fresh_id), Contains(HasSubstr("is stored twice")));
}

TEST(PlantedFault, RecordsTakenForStoredTooEarlyShowAsLost) {
  EXPECT_THAT(violations_of(producing_fault::learns_too_early),
              Contains(HasSubstr("was acknowledged, and is lost")));
}

}  // namespace
}  // namespace levada::crash
