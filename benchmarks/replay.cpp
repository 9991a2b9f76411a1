// A pass over a whole topic, beside a cursor's pass over the same rows in raw LMDB.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>

#include <levada/replay.hpp>

#include "questions.hpp"
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

constexpr double ratio_target = 0.5;
constexpr double rate_target = 10e6;

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
}

}  // namespace levada::bench
