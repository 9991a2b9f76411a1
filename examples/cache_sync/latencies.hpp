#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

namespace cache_sync {

/// How long each of some calls took.
class latencies {
 public:
  void add(std::chrono::nanoseconds t) { times_.push_back(t); }

  [[nodiscard]] std::size_t count() const { return times_.size(); }
  /// The shortest time within which `share` (above 0, up to 1) of the calls returned. Precondition: there
  /// were some.
  [[nodiscard]] std::chrono::nanoseconds within(double share) const;

 private:
  std::vector<std::chrono::nanoseconds> times_;
};

}  // namespace cache_sync
