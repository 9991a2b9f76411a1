#include <emergency_call/sample.hpp>

#include <gtest/gtest.h>

#include <set>

namespace emergency {
namespace {

TEST(Sample, IsTheSameForTheSameSeedOnly) {
  const auto texts = [](std::uint64_t seed) {
    std::vector<std::string> lines;
    for (const auto& c : make_sample(50, seed)) lines.push_back(to_csv(c));
    return lines;
  };
  EXPECT_EQ(texts(3), texts(3));
  EXPECT_NE(texts(3), texts(4));
}

TEST(Sample, CanBeWrittenAsAFileAndReadAgain) {
  for (const auto& c : make_sample(500, 1)) EXPECT_EQ(to_csv(parse_call(to_csv(c), c.id)), to_csv(c));
}

TEST(Sample, RunsForwardInTimeAndHasLinesThatCallAgain) {
  const auto sample = make_sample(500, 1);
  std::set<std::string> lines;
  std::set<category> categories;
  for (std::size_t n = 0; n < sample.size(); ++n) {
    EXPECT_EQ(sample[n].id, n + 1);
    EXPECT_LE(sample[n == 0 ? 0 : n - 1].time, sample[n].time);
    lines.insert(sample[n].line().key());
    categories.insert(sample[n].category);
  }
  EXPECT_LT(lines.size(), sample.size());
  EXPECT_EQ(categories.size(), 3U);
}

}  // namespace
}  // namespace emergency
