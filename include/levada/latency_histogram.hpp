#pragma once

/// @file
/// How long something took, many times over.

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace levada {

/// Counts of durations by their size: eight buckets to each power of two of nanoseconds, so that what is read
/// from it is at most an eighth too large (log-linear buckets as in HdrHistogram). A value; the difference of
/// two, of which one was taken later, tells what came between.
class latency_histogram {
 public:
  /// From 0 ns to 19 hours; what is longer is in the last one.
  static constexpr std::size_t bucket_count = 352;

  /// The bucket of a duration; negative ones are in the first.
  [[nodiscard]] static constexpr std::size_t bucket_of(std::chrono::nanoseconds d) noexcept {
    if (d.count() < 8) return d.count() < 0 ? 0 : static_cast<std::size_t>(d.count());
    const auto n = static_cast<std::uint64_t>(d.count());
    const auto power = static_cast<std::size_t>(std::bit_width(n)) - 1;  // at least 3
    const std::size_t bucket = (power - 2) * 8 + static_cast<std::size_t>((n >> (power - 3)) & 7U);
    return bucket < bucket_count ? bucket : bucket_count - 1;
  }
  /// The longest duration in a bucket.
  [[nodiscard]] static constexpr std::chrono::nanoseconds upper_bound(std::size_t bucket) noexcept {
    if (bucket < 8) return std::chrono::nanoseconds{bucket};
    const std::size_t power = bucket / 8 + 2;
    const std::uint64_t step = std::uint64_t{1} << (power - 3);
    return std::chrono::nanoseconds{(std::uint64_t{8} + bucket % 8 + 1) * step - 1};
  }

  [[nodiscard]] std::uint64_t count() const noexcept;
  /// The duration that a share of all, from 0 to 1, does not exceed; 0 where there is none.
  [[nodiscard]] std::chrono::nanoseconds quantile(double share) const noexcept;
  /// What is in a bucket, and how to put something there.
  [[nodiscard]] std::uint64_t operator[](std::size_t bucket) const noexcept { return counts_[bucket]; }
  void add(std::chrono::nanoseconds d, std::uint64_t times = 1) noexcept { counts_[bucket_of(d)] += times; }
  void add_to_bucket(std::size_t bucket, std::uint64_t times) noexcept { counts_[bucket] += times; }

  /// What has come since `earlier`.
  [[nodiscard]] latency_histogram since(const latency_histogram& earlier) const noexcept;

  friend bool operator==(const latency_histogram&, const latency_histogram&) = default;

 private:
  std::array<std::uint64_t, bucket_count> counts_{};
};

inline std::uint64_t latency_histogram::count() const noexcept {
  std::uint64_t sum = 0;
  for (const std::uint64_t n : counts_) sum += n;
  return sum;
}

inline std::chrono::nanoseconds latency_histogram::quantile(double share) const noexcept {
  const std::uint64_t all = count();
  if (all == 0) return {};
  const double wanted = (share < 0 ? 0.0 : share > 1 ? 1.0 : share) * static_cast<double>(all);
  std::uint64_t sum = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    if (counts_[i] == 0) continue;
    sum += counts_[i];
    last = i;
    if (static_cast<double>(sum) >= wanted) break;
  }
  return upper_bound(last);
}

inline latency_histogram latency_histogram::since(const latency_histogram& earlier) const noexcept {
  latency_histogram difference;
  for (std::size_t i = 0; i < bucket_count; ++i) difference.counts_[i] = counts_[i] - earlier.counts_[i];
  return difference;
}

}  // namespace levada
