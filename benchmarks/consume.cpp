// A consumer group's pass over a topic, beside a cursor's pass over the same rows in raw LMDB.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>

#include <levada/consumer.hpp>

#include "questions.hpp"
#include "support/reading.hpp"
#include "support/stores.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

class whole_consume : public pair {
 public:
  whole_consume(const std::filesystem::path& directory, std::uint32_t partitions, std::size_t records)
      : stores_{directory, partitions},
        records_{records},
        member_{stores_.bus().join("readers", {"measured"}, {.reset = offset_reset::earliest}).value()} {
    stores_.fill(records);
    // Partitions are assigned within a poll.
    (void)member_.poll(std::chrono::milliseconds{0}).value();
  }

  void levada_half() override {
    for (const topic_partition& partition : member_.assignment())
      member_.seek(partition, from_earliest{}).value();
    reading done;
    while (done.records() < records_) {
      const record_batch batch = member_.poll(std::chrono::milliseconds{0}).value();
      if (batch.empty()) throw std::runtime_error{fmt::format("polling ended at record {}", done.records())};
      done.look_at(batch);
    }
    benchmark::DoNotOptimize(done.sum());
  }
  void raw_half() override { benchmark::DoNotOptimize(stores_.raw().scan()); }
  std::optional<double> finish() override {
    member_.close();
    stores_.close_and_compare();
    return std::nullopt;
  }

 private:
  stores stores_;
  std::size_t records_;
  consumer member_;
};

}  // namespace

void ask_consume(suite& s) {
  const std::size_t records = s.size(records_to_read, records_per_group);
  for (const std::uint32_t partitions : {1U, 8U}) {
    s.ask({.name = fmt::format("consume/partitions:{}", partitions),
           .text = fmt::format("consume, {} partition{}", partitions, partitions == 1 ? "" : "s"),
           .records = records,
           .halves = 6,
           .make = [=](const auto& directory) {
             return std::make_unique<whole_consume>(directory, partitions, records);
           }});
  }
}

}  // namespace levada::bench
