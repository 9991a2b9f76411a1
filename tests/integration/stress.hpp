#pragma once

/// @file
/// A bus that many threads use in all ways at once, until it is closed under their hands.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace levada::test {

struct stress_options {
  /// How long, by the steady clock.
  std::chrono::milliseconds time{2000};
  /// Makes the same choices; how threads interleave is theirs.
  std::uint64_t seed = 1;
};

/// What was done, and what was wrong.
struct stress_summary {
  std::uint64_t published = 0;
  std::uint64_t polled = 0;
  std::uint64_t lives_of_members = 0;
  std::uint64_t handled = 0;
  std::uint64_t moved = 0;
  std::uint64_t transactions = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t topics_deleted = 0;
  std::uint64_t maintenance = 0;
  /// Calls that failed as they must not, anomalies of the history, sums that do not come out even.
  std::vector<std::string> violations;
};
/// For people, with a line for each violation.
[[nodiscard]] std::string to_text(const stress_summary& s);

/// Eight threads: two publish, by calls that wait, `async_` calls and producers; two are members that come
/// and go; one moves records from topic to topic, and money from account to account, in transactions; one
/// declares and deletes topics; one subscribes with several workers; one maintains and looks at everything.
/// Then the bus is closed while they go on, and opened again, and everything is read and compared. Throws
/// what setting that up throws.
[[nodiscard]] stress_summary run_stress(const stress_options& options);

}  // namespace levada::test
