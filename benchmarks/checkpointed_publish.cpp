// Publishing without flushes, made durable by checkpoints, beside raw LMDB with MDB_NOSYNC that commits the
// same rows, as many at a time. Both in memory, so that the processor's work is seen and not the disk's.

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/batch_publishing.hpp"
#include "support/stores.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

/// Publishing and checkpoints.
class publishing_alone : public batch_publishing {
 public:
  publishing_alone(const std::filesystem::path& directory, const load& work)
      : batch_publishing{directory, work, checkpointed{}} {}
};

/// With default options, so sealing begins in the background at 64 MiB. A half ends when the sealing that it
/// made due is done: none of it falls in the time of the other side, which does nothing of the kind.
class publishing_and_sealing : public pair {
 public:
  publishing_and_sealing(const std::filesystem::path& directory, const load& work)
      : work_{work},
        bus_{bus::open(directory / "levada", {.durability = checkpointed{}}).value()},
        topic_{bus_.declare_topic("measured", {.partitions = work.partitions}).value()},
        batch_{topic_.make_batch()},
        raw_directory_{directory / "raw"} {
    std::filesystem::create_directory(raw_directory_);
    raw_.emplace(raw_directory_, flushing::none);
  }

  void levada_half() override {
    publish(topic_, batch_, work_);
    bus_.maintain().value();
    ++halves_;
  }
  void raw_half() override { append(*raw_, work_); }
  std::optional<double> finish() override {
    const std::uint64_t sealed_segments = bus_.stats().value().segments;
    bus_.close().value();
    raw_.reset();
    const std::uint64_t records = halves_ * work_.commits * work_.records_per_commit;
    const journal_content raw = count_journal(raw_directory_);
    if (raw.rows * records_per_row != records) {
      throw std::runtime_error{fmt::format("no equal work: levada holds {} records, raw LMDB {}", records,
                                           raw.rows * records_per_row)};
    }
    if (records * full_row_bytes / records_per_row >= bus_options{}.journal_bytes_seal &&
        sealed_segments == 0) {
      throw std::runtime_error{"nothing was sealed"};
    }
    return std::nullopt;
  }

 private:
  load work_;
  bus bus_;
  topic topic_;
  publish_batch batch_;
  std::filesystem::path raw_directory_;
  std::optional<raw_journal> raw_;
  std::uint64_t halves_ = 0;
};

constexpr std::size_t small_commit = 128;
constexpr double ratio_target = 0.4;
constexpr double rate_target = 5e6;
constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

template <class Pair>
void ask(suite& s, const char* kind, const char* sealing, const load& work, std::uint64_t memory_bytes) {
  const bool small = work.records_per_commit == small_commit;
  s.ask({.name = fmt::format("checkpointed_publish/{}/batch:{}/partitions:{}", kind, work.records_per_commit,
                             work.partitions),
         .text = fmt::format("checkpointed, {}, {} partition{}, {}", small ? "128 records" : "1 MiB",
                             work.partitions, work.partitions == 1 ? "" : "s", sealing),
         .records = work.commits * work.records_per_commit,
         .halves = 2,
         .ratio_target = ratio_target,
         .rate_target = rate_target,
         .memory_bytes = memory_bytes,
         .make = [=](const auto& directory) { return std::make_unique<Pair>(directory, work); }});
}

}  // namespace

void ask_checkpointed_publish(suite& s) {
  // About 32 MiB a half; where it is sealed, more than makes sealing due.
  const auto groups = s.size<std::size_t>(32, 1);
  const auto groups_sealed = s.size<std::size_t>(72, 1);
  const std::uint64_t memory = s.size<std::uint64_t>(1536, 64) * mebibyte;
  const std::uint64_t memory_sealed = s.size<std::uint64_t>(3072, 64) * mebibyte;
  for (const std::size_t records : {records_per_group, small_commit}) {
    const std::size_t commits_per_group = records_per_group / records;
    for (const std::uint32_t partitions : {1U, 8U}) {
      ask<publishing_alone>(
          s, "alone", "unsealed",
          {.partitions = partitions, .records_per_commit = records, .commits = groups * commits_per_group},
          memory);
    }
    ask<publishing_and_sealing>(
        s, "sealed", "sealed",
        {.partitions = 8, .records_per_commit = records, .commits = groups_sealed * commits_per_group},
        memory_sealed);
  }
}

}  // namespace levada::bench
