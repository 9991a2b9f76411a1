#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include <levada/latency_histogram.hpp>

#include "bus/counters.hpp"

namespace levada::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using histogram = latency_histogram;

TEST(LatencyHistogram, HasBucketsThatFollowEachOther) {
  nanoseconds below{-1};
  for (std::size_t i = 0; i < histogram::bucket_count; ++i) {
    EXPECT_EQ(histogram::bucket_of(below + nanoseconds{1}), i);
    EXPECT_EQ(histogram::bucket_of(histogram::upper_bound(i)), i);
    EXPECT_GT(histogram::upper_bound(i), below);
    below = histogram::upper_bound(i);
  }
  EXPECT_GT(below, hours{19});
}

TEST(LatencyHistogram, PutsExtremesIntoTheFirstAndTheLastBucket) {
  EXPECT_EQ(histogram::bucket_of(nanoseconds{0}), 0U);
  EXPECT_EQ(histogram::bucket_of(nanoseconds{-1}), 0U);
  EXPECT_EQ(histogram::bucket_of(nanoseconds::min()), 0U);
  EXPECT_EQ(histogram::bucket_of(hours{20}), histogram::bucket_count - 1);
  EXPECT_EQ(histogram::bucket_of(nanoseconds::max()), histogram::bucket_count - 1);
  histogram h;
  h.add(nanoseconds::min());
  h.add(nanoseconds::max());
  EXPECT_EQ(h.count(), 2U);
  EXPECT_EQ(h.quantile(0.5), nanoseconds{0});
  EXPECT_EQ(h.quantile(1), histogram::upper_bound(histogram::bucket_count - 1));
}

TEST(LatencyHistogram, TellsQuantilesThatAreAtMostAnEighthTooLarge) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random{seed};
  std::uniform_real_distribution<double> power{0, 45};
  std::vector<std::int64_t> all;
  histogram h;
  for (int i = 0; i < 1'000; ++i) {
    all.push_back(static_cast<std::int64_t>(std::exp2(power(random))));
    h.add(nanoseconds{all.back()});
  }
  std::sort(all.begin(), all.end());
  for (const std::size_t share : {1U, 10U, 500U, 990U, 999U, 1000U}) {
    const std::int64_t exact = all[share - 1];
    const std::int64_t told = h.quantile(static_cast<double>(share) / 1'000).count();
    EXPECT_GE(told, exact);
    EXPECT_LE(told, exact + exact / 8) << "for " << exact;
  }
}

TEST(LatencyHistogram, BoundsSharesAndToleratesNone) {
  histogram h;
  EXPECT_EQ(h.quantile(0.5), nanoseconds{0});
  EXPECT_EQ(h.count(), 0U);
  h.add(nanoseconds{3}, 9);
  h.add(nanoseconds{5});
  EXPECT_EQ(h.count(), 10U);
  EXPECT_EQ(h.quantile(-1), nanoseconds{3});
  EXPECT_EQ(h.quantile(0), nanoseconds{3});
  EXPECT_EQ(h.quantile(0.9), nanoseconds{3});
  EXPECT_EQ(h.quantile(0.91), nanoseconds{5});
  EXPECT_EQ(h.quantile(7), nanoseconds{5});
}

TEST(LatencyHistogram, TellsWhatHasComeSince) {
  histogram h;
  h.add(milliseconds{1}, 2);
  const histogram before = h;
  h.add(milliseconds{1});
  h.add(milliseconds{100});
  const histogram since = h.since(before);
  EXPECT_EQ(since.count(), 2U);
  EXPECT_EQ(since[histogram::bucket_of(milliseconds{1})], 1U);
  EXPECT_EQ(since[histogram::bucket_of(milliseconds{100})], 1U);
  EXPECT_EQ(h.since(h), histogram{});
}

TEST(LatencyHistogram, IsWhatARecorderHasRecorded) {
  latency_recorder recorder;
  histogram same;
  for (const auto d :
       {nanoseconds{-5}, nanoseconds{0}, nanoseconds{milliseconds{7}}, nanoseconds{hours{99}}}) {
    recorder.add_alone(d);
    same.add(d);
  }
  EXPECT_EQ(recorder.read(), same);
}

}  // namespace
}  // namespace levada::test
