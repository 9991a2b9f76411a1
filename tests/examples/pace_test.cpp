#include <emergency_call/pace.hpp>

#include <gtest/gtest.h>

#include <common/failure.hpp>

namespace emergency {
namespace {

using namespace std::chrono_literals;

constexpr local_time first{1'000'000s};

TEST(Pace, MakesEveryCallDueAtOnceUnlessASpeedIsGiven) {
  EXPECT_EQ(pace{}.due(first + 24h, first), 0ns);
}

TEST(Pace, LetsAnHourPassInASecondAt3600x) {
  const auto p = pace::parse("3600x");
  EXPECT_EQ(p.due(first, first), 0ns);
  EXPECT_EQ(p.due(first + 1h, first), 1s);
  EXPECT_EQ(p.due(first + 90min, first), 1500ms);
}

TEST(Pace, TakesSpeedsBelowOneAndWithoutAnX) {
  EXPECT_EQ(pace::parse("0.5").due(first + 10s, first), 20s);
  EXPECT_EQ(pace::parse("2").due(first + 10s, first), 5s);
}

TEST(Pace, MakesACallThatIsOutOfOrderDueAtOnce) {
  EXPECT_EQ(pace::parse("60x").due(first - 1h, first), 0ns);
}

TEST(Pace, StaysWithinWhatNanosecondsCount) {
  EXPECT_GT(pace::parse("0.001").due(local_time{std::chrono::days{4'000'000}}, local_time{}), 0ns);
}

TEST(Pace, RefusesWhatIsNoSpeed) {
  for (const auto* text : {"", "x", "0", "-1x", "fast", "10xx", "inf", "nan", "1e13"}) {
    EXPECT_THROW(static_cast<void>(pace::parse(text)), example::failure) << text;
  }
}

}  // namespace
}  // namespace emergency
