#pragma once

/// @file
/// What is known in memory of one log: its partitions, their ends, and where their rows stand.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "log/log_index.hpp"
#include "storage/row.hpp"

namespace levada::log {

/// A log of the catalogue, as committed. Safe to share: ends are atomic, indexes are read and changed under
/// `mutex`.
class log_state {
 public:
  log_state(std::uint32_t id, std::string name, std::uint32_t partitions, std::uint8_t exchange)
      : id_{id},
        name_{std::make_shared<const std::string>(std::move(name))},
        exchange_{exchange},
        partitions_(partitions) {}

  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& name() const noexcept { return *name_; }
  [[nodiscard]] const std::shared_ptr<const std::string>& shared_name() const noexcept { return name_; }
  [[nodiscard]] std::uint32_t partitions() const noexcept {
    return static_cast<std::uint32_t>(partitions_.size());
  }
  /// 0 for a plain topic, else the `exchange_type`.
  [[nodiscard]] std::uint8_t exchange() const noexcept { return exchange_; }

  /// One beyond the newest committed record.
  [[nodiscard]] std::uint64_t end(std::uint32_t partition) const noexcept {
    return partitions_[partition].end.load(std::memory_order_acquire);
  }

  /// Notes a committed row that begins records. Rows come in the order of their sequences.
  void add_row(std::uint64_t sequence, std::uint32_t partition, std::uint64_t base_offset,
               std::uint32_t count, std::int64_t time_first) {
    partition_state& p = partitions_[partition];
    p.index.add(sequence, base_offset, time_first);
    whole_.add(sequence, 0, time_first);
    p.end.store(base_offset + count, std::memory_order_release);
  }

  /// Guards what `index` and `whole` return, and `add_row`.
  [[nodiscard]] std::shared_mutex& mutex() const noexcept { return mutex_; }
  [[nodiscard]] const log_index& index(std::uint32_t partition) const noexcept {
    return partitions_[partition].index;
  }
  /// Over all partitions; its entries' offsets mean nothing.
  [[nodiscard]] const log_index& whole() const noexcept { return whole_; }

 private:
  struct partition_state {
    log_index index;
    std::atomic<std::uint64_t> end{0};
  };

  std::uint32_t id_;
  std::shared_ptr<const std::string> name_;
  std::uint8_t exchange_;
  mutable std::shared_mutex mutex_;
  std::vector<partition_state> partitions_;
  log_index whole_;
};

}  // namespace levada::log
