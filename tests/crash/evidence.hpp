#pragma once

/// @file
/// What a campaign of power cuts must have shown: without it, that nothing was violated would say little.

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

/// Collects what has not been shown.
class evidence {
 public:
  /// There are to be more than `more_than` of something.
  void need(std::uint64_t count, std::uint64_t more_than, const char* of_what) {
    if (count <= more_than) missing_.emplace(of_what);
  }
  [[nodiscard]] const std::set<std::string>& missing() const noexcept { return missing_; }

 private:
  std::set<std::string> missing_;
};

/// Cuts the power, and expects no violation. Threads and chance decide where a cut falls, and rarely leave
/// one kind out: then there are more of them, until `look(options, summary)`, which returns `evidence`, has
/// found each kind once.
template <class Look>
void cut_power_until_all_is_shown(power_cut_options options, Look look) {
  constexpr int rounds_max = 6;
  std::optional<std::set<std::string>> missing;
  for (int round = 0; round < rounds_max; ++round) {
    const auto summary = run_power_cuts(options);
    ASSERT_EQ(summary.states, options.states);
    ASSERT_EQ(summary.states_in_violation, 0U) << to_text(summary);
    if (test::under_sanitizer) return;  // too few states for each kind to be sure to come
    std::set<std::string> now = look(options, summary).missing();
    if (missing) std::erase_if(now, [&](const std::string& kind) { return !missing->contains(kind); });
    missing = std::move(now);
    if (missing->empty()) return;
    options.seed += 1'000;
  }
  EXPECT_THAT(*missing, testing::IsEmpty());
}

}  // namespace levada::crash
