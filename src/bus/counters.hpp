#pragma once

/// @file
/// What a bus counts of what it does.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <levada/latency_histogram.hpp>

namespace levada {

/// Safe to share. Orders nothing else.
class counter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  /// The same, cheaper, where no two threads add at a time.
  void add_alone(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A histogram that is written by one thread at a time, and read by any.
class latency_recorder {
 public:
  void add_alone(std::chrono::nanoseconds d) noexcept {
    counts_[latency_histogram::bucket_of(d)].add_alone();
  }
  [[nodiscard]] latency_histogram read() const noexcept {
    latency_histogram all;
    for (std::size_t i = 0; i < counts_.size(); ++i) all.add_to_bucket(i, counts_[i].value());
    return all;
  }

 private:
  std::array<counter, latency_histogram::bucket_count> counts_;
};

/// As `bus_stats` tells them; grouped by who adds, so that no group shares a cache line with another.
struct counters {
  static constexpr std::size_t apart = 64;

  /// By the thread that commits, after the commit.
  struct alignas(apart) committed {
    counter commits;
    counter failures;
    counter requests;
    counter records;
    counter bytes;
    counter offsets;
    counter routed;
    counter unroutable;
    counter settled;
    counter transactions;
    counter undone;
    counter records_sealed;
    counter segments_written;
    counter segments_removed;
    latency_recorder duration;
    latency_recorder publish_wait;
  };
  /// By whoever reads.
  struct alignas(apart) read {
    counter polls;
    counter records;
    counter bytes;
  };
  struct alignas(apart) queued {
    counter delivered;
    counter requeued;
  };
  /// By members of share groups, and the thread that commits for them.
  struct alignas(apart) shared {
    counter acquired;
    counter accepted;
    counter rejected;
    counter released;
    counter renewed;
    counter expired;
    counter exhausted;
    counter removed;
  };
  /// By whoever it is that does this, or has it refused.
  struct alignas(apart) seldom {
    counter conflicts;
    counter upkeep_failures;
    counter upkeep_runs;
    latency_recorder upkeep_duration;  // by who holds the lock of maintenance
    counter checkpoints;
    latency_recorder checkpoint_duration;  // by who makes the checkpoint
  };

  committed commits;
  read reads;
  queued queues;
  shared shares;
  seldom others;
};

/// What one commit would add, once it is made, beside its rows' bytes.
struct commit_counts {
  std::uint64_t records = 0;
  std::uint64_t offsets = 0;
  std::uint64_t routed = 0;
  std::uint64_t unroutable = 0;
  std::uint64_t settled = 0;
};

}  // namespace levada
