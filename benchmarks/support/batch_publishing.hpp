#pragma once

/// @file
/// Batches that are published through levada, and the same rows written to a raw journal, as many at a time.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

#include <levada/bus.hpp>

#include "support/raw_journal.hpp"
#include "support/stores.hpp"
#include "support/suite.hpp"

namespace levada::bench {

/// What each half writes, and in how many commits.
struct load {
  std::uint32_t partitions = 1;
  /// A multiple of what all partitions' rows hold, so that all rows are full.
  std::size_t records_per_commit = records_per_group;
  std::size_t commits = 1;
};

inline void publish(const topic& where, publish_batch& batch, const load& work) {
  for (std::size_t i = 0; i < work.commits; ++i) {
    add_records(batch, work.records_per_commit);
    (void)where.publish(batch).value();
  }
}

inline void append(raw_journal& raw, const load& work) {
  for (std::size_t i = 0; i < work.commits; ++i) {
    raw.append(work.records_per_commit / records_per_row, full_row_bytes);
  }
}

/// One thread on either side. Nothing is sealed, so both end with the same rows.
class batch_publishing : public pair {
 public:
  batch_publishing(const std::filesystem::path& directory, const load& work,
                   decltype(bus_options::durability) durability = synced{})
      : work_{work}, stores_{directory, work.partitions, durability}, batch_{stores_.topic().make_batch()} {}

  void levada_half() override { publish(stores_.topic(), batch_, work_); }
  void raw_half() override { append(stores_.raw(), work_); }
  std::optional<double> finish() override {
    stores_.close_and_compare();
    return std::nullopt;
  }

 private:
  load work_;
  stores stores_;
  publish_batch batch_;
};

}  // namespace levada::bench
