#pragma once

/// @file
/// The two stores of a pair.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include <levada/bus.hpp>

#include "support/raw_journal.hpp"

namespace levada::bench {

/// How many records a full commit holds in these measurements: 8 partitions times 64 full rows, about 1 MiB.
inline constexpr std::size_t records_per_group = 8192;

/// The value of the i-th record: 100 bytes, in turn from a set that fits the processor's caches.
[[nodiscard]] std::string_view value_of(std::size_t i) noexcept;

/// Options of a bus of which nothing is sealed: that is measured where it is asked for.
[[nodiscard]] bus_options unsealed(const decltype(bus_options::durability)& durability);

/// A levada store with one topic, and a raw journal beside it. Throws levada::exception or
/// std::runtime_error.
class stores {
 public:
  /// Makes both in an empty directory. Nothing is sealed unless `seal` is called, so that both sides hold the
  /// same rows. Beside a levada in `checkpointed` mode raw LMDB does not flush at all.
  stores(const std::filesystem::path& directory, std::uint32_t partitions,
         decltype(bus_options::durability) durability = synced{});

  [[nodiscard]] levada::bus& bus() noexcept { return *bus_; }
  [[nodiscard]] const levada::topic& topic() const noexcept { return *topic_; }
  [[nodiscard]] raw_journal& raw() noexcept { return *raw_; }

  /// Writes this many records to both, in groups. A multiple of `records_per_group`.
  void fill(std::size_t records);
  /// Moves all that levada holds into segments.
  void seal();
  /// Where they are.
  [[nodiscard]] std::filesystem::path segments() const { return directory_ / "levada" / "segments"; }
  /// Closes both and throws unless they hold rows of the same number and size. Returns levada's transactions
  /// over raw LMDB's.
  double close_and_compare();

 private:
  std::filesystem::path directory_;
  decltype(bus_options::durability) durability_;
  std::optional<levada::bus> bus_;
  std::optional<levada::topic> topic_;
  std::optional<raw_journal> raw_;
};

/// Adds records without keys to a batch, so that they go to the topic's partitions in turn.
void add_records(publish_batch& batch, std::size_t records);

}  // namespace levada::bench
