#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "latencies.hpp"
#include "proof.hpp"

namespace cache_sync {

struct comparison_options {
  /// Where a store is made for it.
  std::filesystem::path directory;
  /// How many changes each side makes under each condition, but for no longer than a second.
  std::size_t changes = 200;
  /// How long a slow licensing service works for each change.
  std::chrono::milliseconds slow{2};
  /// How long a caller waits for an answer.
  std::chrono::milliseconds timeout{20};
};

/// How long the organisation service took for a change while licensing was in some condition.
struct latency_pair {
  std::string condition;
  latencies published;
  latencies called;
};

struct comparison {
  std::vector<latency_pair> pairs;
  /// Once licensing was up again after all that, it was wrong about so many organisations of those that had
  /// changed.
  std::size_t stale_when_called = 0;
  std::size_t organisations_called = 0;
  std::size_t organisations_published = 0;
  /// That it had nothing wrong where changes were published.
  claim nothing_stale_when_published;
};

/// Has organisations changed by a service that publishes and by one that calls licensing itself, while
/// licensing is well, slow, and down. The two take turns, in changing order. Throws `levada::exception`.
[[nodiscard]] comparison compare(const comparison_options& options);

/// The comparison for people.
[[nodiscard]] std::vector<std::string> render(const comparison& c);

}  // namespace cache_sync
