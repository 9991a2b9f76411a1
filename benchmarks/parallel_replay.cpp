// Passes over sealed partitions by several threads at a time, beside one thread's, and beside as many threads
// that go over the segments' entries and hash them.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <levada/replay.hpp>

#include "questions.hpp"
#include "support/crew.hpp"
#include "support/raw_segments.hpp"
#include "support/reading.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr int rounds_full = 7;
constexpr int rounds_smoke = 2;
constexpr std::uint32_t partitions_min = 8;

/// 1, 2, ... up to eight, from there on doubled, and as many as there are.
std::vector<std::size_t> thread_counts() {
  constexpr std::size_t one_by_one = 8;
  const std::size_t most = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::size_t> counts;
  for (std::size_t n = 1; n < most; n += n < one_by_one ? 1 : n) counts.push_back(n);
  counts.push_back(most);
  return counts;
}

/// Some threads' passes over one store; thread i of n takes each n-th partition from the i-th on.
class team {
 public:
  team(stores& read, std::uint32_t partitions, std::size_t records, std::size_t threads)
      : read_{read}, partitions_{partitions}, records_{records}, threads_{threads}, crew_{threads} {}

  [[nodiscard]] std::size_t threads() const noexcept { return threads_; }

  double levada_half() {
    return time([this](std::size_t thread) {
      for (auto p = static_cast<std::uint32_t>(thread); p < partitions_;
           p += static_cast<std::uint32_t>(threads_)) {
        replay_partition(partition_id{p});
      }
    });
  }

  double raw_half() {
    return time([this](std::size_t thread) {
      benchmark::DoNotOptimize(scan_segments(read_.segments(), true, {thread, threads_}));
    });
  }

 private:
  void replay_partition(partition_id partition) {
    replay pass = read_.bus().replay("measured", {.partition = partition}).value();
    const std::size_t wanted = records_ / partitions_;
    std::size_t seen = 0;
    std::uint64_t sum = 0;
    while (seen < wanted) {
      const record_batch batch = pass.next().value();
      if (batch.empty()) {
        throw std::runtime_error{
            fmt::format("replay of partition {} ended at record {}", partition.value(), seen)};
      }
      reading done;
      done.look_at(batch);
      seen += done.records();
      sum += done.sum();
    }
    benchmark::DoNotOptimize(sum);
  }

  template <class Work>
  double time(Work work) {
    const auto begin = std::chrono::steady_clock::now();
    crew_.run(work);
    return std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count();
  }

  stores& read_;
  std::uint32_t partitions_;
  std::size_t records_;
  std::size_t threads_;
  crew crew_;
};

struct outcome {
  std::vector<double> levada;  // times, one a round
  std::vector<double> raw;
};

/// Over all rounds, one time over another of the same round.
std::vector<double> quotients(const std::vector<double>& numerators,
                              const std::vector<double>& denominators) {
  std::vector<double> q;
  for (std::size_t i = 0; i < numerators.size(); ++i) q.push_back(numerators[i] / denominators[i]);
  return q;
}

void read_in_parallel(const std::filesystem::path& directory, std::size_t records, findings& found) {
  const std::vector<std::size_t> counts = thread_counts();
  // As many groups of as many records, so that every partition holds equally many.
  const auto partitions = static_cast<std::uint32_t>(
      std::max<std::size_t>(partitions_min, counts.back() / partitions_min * partitions_min));
  stores read{directory, partitions};
  const std::size_t even = records / partitions * partitions;
  read.fill(records);
  read.seal();
  std::vector<std::unique_ptr<team>> teams;
  for (const std::size_t n : counts) {
    teams.push_back(std::make_unique<team>(read, partitions, even, n));
    (void)teams.back()->levada_half();
    (void)teams.back()->raw_half();
  }

  std::vector<outcome> taken(teams.size());
  const int rounds = found.smoke() ? rounds_smoke : rounds_full;
  for (int round = 0; round < rounds; ++round) {
    stop_if_asked();
    const bool backwards = round % 2 == 1;
    for (std::size_t i = 0; i < teams.size(); ++i) {
      const std::size_t which = backwards ? teams.size() - 1 - i : i;
      if (backwards) taken[which].raw.push_back(teams[which]->raw_half());
      taken[which].levada.push_back(teams[which]->levada_half());
      if (!backwards) taken[which].raw.push_back(teams[which]->raw_half());
    }
  }

  found.line(fmt::format("{:>7} {:>12} {:>22} {:>22} {:>22}", "threads", "levada", "over one thread",
                         "raw, over one thread", "levada over raw"));
  for (std::size_t i = 0; i < teams.size(); ++i) {
    const std::size_t n = teams[i]->threads();
    const auto scaling = quotients(taken.front().levada, taken[i].levada);
    const auto raw_scaling = quotients(taken.front().raw, taken[i].raw);
    const auto beside_raw = quotients(taken[i].raw, taken[i].levada);
    found.line(fmt::format("{:>7} {:>8.2f} M/s {:>22} {:>22} {:>22}", n,
                           static_cast<double>(even) / median(taken[i].levada) / 1e6, with_range(scaling),
                           with_range(raw_scaling), with_range(beside_raw)));
    found.figure(fmt::format("threads:{}/over_one", n), median(scaling));
    found.figure(fmt::format("threads:{}/raw_over_one", n), median(raw_scaling));
    found.figure(fmt::format("threads:{}/over_raw", n), median(beside_raw));
  }
}

}  // namespace

void ask_parallel_replay(suite& s) {
  const std::size_t records = s.size(4 * records_to_read, 2 * records_per_group);
  s.ask(study{.name = "parallel_replay",
              .text = "parallel replay of sealed partitions, beside threads that hash the segments' entries",
              .answer = [=](const auto& directory, findings& found) {
                read_in_parallel(directory, records, found);
              }});
}

}  // namespace levada::bench
