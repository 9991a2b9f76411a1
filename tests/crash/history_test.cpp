#include <crash/history.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>

#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using testing::ElementsAre;

/// One line of each kind.
const history every_kind = {
    "opening checkpointed",
    "opened checkpointed 2",
    "closing",
    "closed",
    "declaring topic:orders:2",
    "declared topic:orders:2",
    "deleting queue:work",
    "deleted queue:work",
    "sending 7 6 orders work,audit k1 0 12345",
    "stored 7 orders 1 40",
    "committing readers orders 1 41",
    "committed readers orders 1 41",
    "maintaining",
    "maintained",
    "flushing",
    "flushed",
    "trimming orders 1 12",
    "trimmed orders 1 12",
    "began orders 1 10",
    "received work 7 2",
    "settling work 7",
    "settled work 7",
    "clock_at 60000",
    "terms 7 1 0",
    "refused 7",
    "passed_over work 7",
    "cancelling 7",
    "cancelled 7",
    "rejecting work 7",
    "rejected work 7",
    "purging work",
    "purged work",
};

TEST(History, EveryLineReadIsWrittenAgain) {
  for (const std::string& line : every_kind) EXPECT_EQ(to_line(from_line(line)), line);
  EXPECT_EQ(every_kind.size(), std::variant_size_v<event>);
}

TEST(History, LineOfNoKnownShapeIsRefused) {
  for (const char* line : {"", "shouted", "declared", "stored 7 orders 1", "stored 7 orders one 40",
                           "received work 7", "received work 7 8 9", "opening", "opened half 1"}) {
    EXPECT_THROW(static_cast<void>(from_line(line)), std::invalid_argument) << line;
  }
}

TEST(History, FileGivesBackItsWholeLinesOnly) {
  const test::temporary_directory directory;
  const auto file = directory / "history";
  write_history({"opening synced", "closing"}, file);
  std::ofstream{file, std::ios::app} << "declaring topic:o";
  EXPECT_THAT(read_history(file), ElementsAre("opening synced", "closing"));
}

TEST(History, AcknowledgementsAreCounted) {
  const auto found = count_acknowledgements(every_kind);
  EXPECT_EQ(found.records, 1U);
  EXPECT_EQ(found.commits, 1U);
  EXPECT_EQ(found.settlements, 1U);
  EXPECT_EQ(found.rejections, 1U);
  EXPECT_EQ(found.cancellations, 1U);
  EXPECT_EQ(found.purges, 1U);
}

}  // namespace
}  // namespace levada::crash
