#include <crash/moments.hpp>

#include <gtest/gtest.h>

namespace levada::crash {
namespace {

TEST(Moments, EverythingToldIsCertainWhereAReturnMeansDurable) {
  EXPECT_EQ(lines_certain({"opening synced", "opened synced 0", "received work 7 0"}), 3U);
}

TEST(Moments, WhatCameAfterTheLastCheckpointIsNot) {
  EXPECT_EQ(lines_certain({"opening checkpointed", "opened checkpointed 0", "received work 7 0"}), 2U);
  EXPECT_EQ(lines_certain({"opening checkpointed", "opened checkpointed 0", "received work 7 0", "flushing",
                           "received work 8 0", "flushed", "received work 9 0"}),
            3U);
}

TEST(Moments, ACheckpointUnderWayMakesNothingCertain) {
  EXPECT_EQ(lines_certain({"opening checkpointed", "opened checkpointed 0", "received work 7 0", "flushing"}),
            2U);
}

TEST(Moments, ClosingMakesEverythingCertainOnceItHasReturned) {
  EXPECT_EQ(lines_certain({"opening checkpointed", "opened checkpointed 0", "received work 7 0", "closing"}),
            2U);
  EXPECT_EQ(lines_certain(
                {"opening checkpointed", "opened checkpointed 0", "received work 7 0", "closing", "closed"}),
            5U);
}

TEST(Moments, OpeningInAnotherModeCountsOnceItHasReturned) {
  const history left = {"opening checkpointed", "opened checkpointed 0", "received work 7 0",
                        "opening synced"};
  EXPECT_EQ(lines_certain(left), 2U);
  history again = left;
  again.push_back("opened synced 0");
  again.push_back("received work 7 0");
  EXPECT_EQ(lines_certain(again), again.size());
}

}  // namespace
}  // namespace levada::crash
