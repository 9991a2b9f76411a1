// Records that a producer collects, beside the same records collected in batches of the caller's: what is
// left of the batch API's rate. Raw LMDB has no part in it; both sides are levada, with a store each.

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <levada/bus.hpp>
#include <levada/partitioner.hpp>

#include "questions.hpp"
#include "support/batch_publishing.hpp"
#include "support/stores.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

/// Bytes of a group's records, as a producer counts them.
constexpr std::size_t group_bytes = records_per_group * 120;

/// One thread on either side. Both have the same partitions, and commits of the same size: records linger so
/// long that no busy machine cuts a batch short.
class collecting : public pair {
 public:
  collecting(const std::filesystem::path& directory, const load& work,
             const decltype(bus_options::durability)& durability, const std::string& id)
      : work_{work},
        collected_{directory / "collected", work.partitions, durability},
        batched_{directory / "batched", work.partitions, durability},
        producer_{collected_.bus()
                      .make_producer("measured", {.id = id,
                                                  .linger = std::chrono::seconds{1},
                                                  .batch_bytes = group_bytes,
                                                  .partitioner = round_robin_partitioner()})
                      .value()},
        batch_{batched_.topic().make_batch()} {}

  void levada_half() override {
    for (std::size_t commit = 0; commit < work_.commits; ++commit) {
      for (std::size_t i = 0; i < work_.records_per_commit; ++i)
        producer_.send(record{std::string{value_of(i)}}).value();
    }
    producer_.flush().value();
  }
  void raw_half() override {
    for (std::size_t commit = 0; commit < work_.commits; ++commit) {
      for (std::size_t i = 0; i < work_.records_per_commit; ++i)
        (void)batch_.add(record{std::string{value_of(i)}}).value();
      (void)batched_.topic().publish(batch_).value();
    }
  }
  std::optional<double> finish() override {
    producer_.close().value();
    const journal_content collected = collected_.close_and_count();
    const journal_content batched = batched_.close_and_count();
    if (collected.rows != batched.rows || collected.bytes != batched.bytes) {
      throw std::runtime_error{
          fmt::format("no equal work: {} rows of {} bytes by the producer, {} of {} by batches",
                      collected.rows, collected.bytes, batched.rows, batched.bytes)};
    }
    return std::nullopt;
  }

 private:
  /// A store with one topic, of which nothing is sealed.
  class side {
   public:
    side(std::filesystem::path directory, std::uint32_t partitions,
         const decltype(bus_options::durability)& durability)
        : directory_{std::move(directory)},
          bus_{bus::open(directory_, unsealed(durability)).value()},
          topic_{bus_->declare_topic("measured", {.partitions = partitions}).value()} {}
    [[nodiscard]] levada::bus& bus() noexcept { return *bus_; }
    [[nodiscard]] const levada::topic& topic() const noexcept { return *topic_; }
    [[nodiscard]] journal_content close_and_count() {
      topic_.reset();
      bus_->close().value();
      bus_.reset();
      return count_journal(directory_ / "main");
    }

   private:
    std::filesystem::path directory_;
    std::optional<levada::bus> bus_;
    std::optional<levada::topic> topic_;
  };

  load work_;
  side collected_;
  side batched_;
  producer producer_;
  publish_batch batch_;
};

constexpr double rate_target = 0.7;
constexpr std::uint64_t memory_bytes = std::uint64_t{3072} << 20;

}  // namespace

void ask_producer_publish(suite& s) {
  const auto groups = s.size<std::size_t>(16, 1);
  for (const std::uint32_t partitions : {1U, 8U}) {
    const load work{.partitions = partitions, .commits = groups};
    const auto ask = [&](const char* kind, const char* id, bool in_memory) {
      decltype(bus_options::durability) durability = synced{};
      if (in_memory) durability = checkpointed{};
      s.ask({.name = fmt::format("producer_publish/{}/partitions:{}", kind, partitions),
             .text = fmt::format("a producer beside batches, {}, {} partition{}", kind, partitions,
                                 partitions == 1 ? "" : "s"),
             .records = groups * records_per_group,
             .halves = 2,
             .ratio_target = rate_target,
             .memory_bytes =
                 in_memory ? std::optional{s.size<std::uint64_t>(memory_bytes, 64 << 20)} : std::nullopt,
             .make = [=, name = std::string{id}](const auto& directory) {
               return std::make_unique<collecting>(directory, work, durability, name);
             }});
    };
    ask("synced", "", false);
    ask("checkpointed", "", true);
    ask("idempotent", "importer", true);
  }
}

}  // namespace levada::bench
