// A pass over a whole topic, beside a cursor's pass over the same rows in raw LMDB.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>

#include <levada/replay.hpp>

#include "questions.hpp"
#include "support/raw_segments.hpp"
#include "support/reading.hpp"
#include "support/stores.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

class whole_replay : public pair {
 public:
  whole_replay(const std::filesystem::path& directory, std::uint32_t partitions, std::size_t records)
      : stores_{directory, partitions}, records_{records} {
    stores_.fill(records);
  }

  void levada_half() override {
    levada::replay pass = stores_.bus().replay("measured").value();
    reading done;
    while (done.records() < records_) {
      const record_batch batch = pass.next(std::chrono::milliseconds{0}).value();
      if (batch.empty()) throw std::runtime_error{fmt::format("replay ended at record {}", done.records())};
      done.look_at(batch);
    }
    benchmark::DoNotOptimize(done.sum());
  }
  void raw_half() override { benchmark::DoNotOptimize(stores_.raw().scan()); }
  std::optional<double> finish() override {
    stores_.close_and_compare();
    return std::nullopt;
  }

 private:
  stores stores_;
  std::size_t records_;
};

/// A pass over sealed records beside one over the segments' bytes that checks as much.
class sealed_replay : public pair {
 public:
  sealed_replay(const std::filesystem::path& directory, std::uint32_t partitions, std::size_t records,
                bool verify)
      : stores_{directory, partitions}, records_{records}, verify_{verify} {
    stores_.fill(records);
    stores_.seal();
  }

  void levada_half() override {
    levada::replay pass = stores_.bus().replay("measured", {.verify = verify_}).value();
    std::size_t seen = 0;
    std::uint64_t sum = 0;
    while (seen < records_) {
      const record_batch batch = pass.next(std::chrono::milliseconds{0}).value();
      if (batch.empty()) throw std::runtime_error{fmt::format("replay ended at record {}", seen)};
      reading done;
      done.look_at(batch);
      seen += done.records();
      sum += done.sum();
    }
    benchmark::DoNotOptimize(sum);
  }
  void raw_half() override { benchmark::DoNotOptimize(scan_segments(stores_.segments(), verify_)); }
  std::optional<double> finish() override { return std::nullopt; }

 private:
  stores stores_;
  std::size_t records_;
  bool verify_;
};

constexpr double ratio_target = 0.5;
constexpr double rate_target = 10e6;
constexpr double sealed_ratio_target = 0.8;
constexpr double sealed_rate_target = 30e6;

}  // namespace

void ask_replay(suite& s) {
  const std::size_t records = s.size(records_to_read, records_per_group);
  for (const std::uint32_t partitions : {1U, 8U}) {
    s.ask({.name = fmt::format("replay/partitions:{}", partitions),
           .text = fmt::format("replay, {} partition{}", partitions, partitions == 1 ? "" : "s"),
           .records = records,
           .halves = 6,
           .ratio_target = ratio_target,
           .rate_target = rate_target,
           .make = [=](const auto& directory) {
             return std::make_unique<whole_replay>(directory, partitions, records);
           }});
  }
  for (const std::uint32_t partitions : {1U, 8U}) {
    s.ask({.name = fmt::format("replay_sealed/partitions:{}", partitions),
           .text = fmt::format("replay of segments, {} partition{}", partitions, partitions == 1 ? "" : "s"),
           .records = records,
           .halves = 6,
           .ratio_target = sealed_ratio_target,
           .make = [=](const auto& directory) {
             return std::make_unique<sealed_replay>(directory, partitions, records, true);
           }});
  }
  s.ask({.name = "replay_sealed/unverified",
         .text = "the same, no checksums",
         .records = records,
         .halves = 6,
         .rate_target = sealed_rate_target,
         .make = [=](const auto& directory) {
           return std::make_unique<sealed_replay>(directory, 8, records, false);
         }});
}

}  // namespace levada::bench
