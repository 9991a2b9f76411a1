// Durable publishing where many records share a commit, beside one raw thread that writes the same rows with
// the same bytes a commit. LMDB has one writer at a time, so more raw threads would only wait for each other.

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include <levada/publishing.hpp>
#include <levada/record.hpp>

#include "questions.hpp"
#include "support/batch_publishing.hpp"
#include "support/crew.hpp"
#include "support/stores.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

/// Eight threads publish batches of 128 KiB at the same time; raw LMDB commits eight of them at a time.
class batches_of_many_threads : public pair {
 public:
  static constexpr std::size_t threads = 8;

  batches_of_many_threads(const std::filesystem::path& directory, const load& work)
      : work_{work}, stores_{directory, work.partitions}, crew_{threads} {
    for (std::size_t i = 0; i < threads; ++i) batches_.push_back(stores_.topic().make_batch());
  }

  void levada_half() override {
    crew_.run([this](std::size_t thread) {
      publish(stores_.topic(), batches_[thread],
              {.records_per_commit = work_.records_per_commit / threads, .commits = work_.commits});
    });
  }
  void raw_half() override { append(stores_.raw(), work_); }
  std::optional<double> finish() override { return stores_.close_and_compare(); }

 private:
  load work_;
  stores stores_;
  std::vector<publish_batch> batches_;
  crew crew_;
};

/// Eight threads publish record by record; raw LMDB commits eight rows at a time.
class records_of_many_threads : public pair {
 public:
  static constexpr std::size_t threads = 8;

  records_of_many_threads(const std::filesystem::path& directory, std::uint32_t partitions,
                          std::size_t records_per_thread)
      : stores_{directory, partitions}, records_per_thread_{records_per_thread}, crew_{threads} {}

  void levada_half() override {
    crew_.run([this](std::size_t) {
      for (std::size_t i = 0; i < records_per_thread_; ++i) (void)stores_.topic().publish(record_).value();
    });
  }
  void raw_half() override {
    for (std::size_t i = 0; i < records_per_thread_; ++i) stores_.raw().append(threads, lone_row_bytes);
  }
  std::optional<double> finish() override { return stores_.close_and_compare(); }

 private:
  stores stores_;
  record record_{std::string{value_of(0)}};
  std::size_t records_per_thread_;
  crew crew_;
};

constexpr double rate_target = 0.6;

}  // namespace

void ask_grouped_publish(suite& s) {
  const auto groups = s.size<std::size_t>(8, 1);
  const auto records_per_thread = s.size<std::size_t>(100, 2);
  for (const std::uint32_t partitions : {1U, 8U}) {
    const load work{.partitions = partitions, .commits = groups};
    const char* const plural = partitions == 1 ? "" : "s";
    s.ask(
        {.name = fmt::format("grouped_publish/batches/threads:1/partitions:{}", partitions),
         .text = fmt::format("1 thread, 1 MiB batches, {} partition{}", partitions, plural),
         .records = groups * records_per_group,
         .halves = 6,
         .ratio_target = rate_target,
         .make = [=](const auto& directory) { return std::make_unique<batch_publishing>(directory, work); }});
    s.ask({.name = fmt::format("grouped_publish/batches/threads:8/partitions:{}", partitions),
           .text = fmt::format("8 threads, 128 KiB batches, {} partition{}", partitions, plural),
           .records = groups * records_per_group,
           .halves = 6,
           .ratio_target = rate_target,
           .make = [=](const auto& directory) {
             return std::make_unique<batches_of_many_threads>(directory, work);
           }});
    s.ask({.name = fmt::format("grouped_publish/records/threads:8/partitions:{}", partitions),
           .text = fmt::format("8 threads, record by record, {} partition{}", partitions, plural),
           .records = records_per_thread * records_of_many_threads::threads,
           .halves = 4,
           .ratio_target = rate_target,
           .make = [=](const auto& directory) {
             return std::make_unique<records_of_many_threads>(directory, partitions, records_per_thread);
           }});
  }
}

}  // namespace levada::bench
