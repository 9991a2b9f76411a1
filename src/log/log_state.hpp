#pragma once

/// @file
/// What is known in memory of one log: its partitions, where they begin and end, which segments hold their
/// older records, and where the rows of the newer ones stand in the journal.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "log/log_index.hpp"
#include "log/sealed_segment.hpp"
#include "storage/row.hpp"

namespace levada::log {

/// A log of the catalogue, as committed. Safe to share: begins, ends and bytes are atomic, everything else is
/// read and changed under `mutex`.
class log_state {
 public:
  /// What belongs to a log for good; the rest of the entry is told by other members.
  explicit log_state(const storage::log_entry& entry)
      : id_{entry.id},
        name_{std::make_shared<const std::string>(entry.name)},
        exchange_{entry.exchange},
        create_time_{entry.create_time},
        partitions_(entry.partitions) {}

  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& name() const noexcept { return *name_; }
  [[nodiscard]] const std::shared_ptr<const std::string>& shared_name() const noexcept { return name_; }
  [[nodiscard]] std::uint32_t partitions() const noexcept {
    return static_cast<std::uint32_t>(partitions_.size());
  }
  /// 0 for a plain topic, else the `exchange_type`.
  [[nodiscard]] std::uint8_t exchange() const noexcept { return exchange_; }
  /// Whether records keep the time that their publisher gave, so that times may fall.
  [[nodiscard]] bool create_time() const noexcept { return create_time_; }

  /// Whether the log has been deleted: nothing of it is to be read then.
  [[nodiscard]] bool deleted() const noexcept { return deleted_.load(std::memory_order_acquire); }
  void set_deleted() noexcept { deleted_.store(true, std::memory_order_release); }

  /// The oldest offset that may be read.
  [[nodiscard]] std::uint64_t begin(std::uint32_t partition) const noexcept {
    return partitions_[partition].begin.load(std::memory_order_acquire);
  }
  /// One beyond the newest committed record.
  [[nodiscard]] std::uint64_t end(std::uint32_t partition) const noexcept {
    return partitions_[partition].end.load(std::memory_order_acquire);
  }

  /// Notes a committed row that begins records. Rows come in the order of their sequences.
  void add_row(std::uint64_t sequence, std::uint32_t partition, std::uint64_t base_offset,
               std::uint32_t count, std::int64_t time_last) {
    partition_state& p = partitions_[partition];
    p.index.add(sequence, base_offset, time_last);
    // What has been removed may reach beyond the row.
    const std::uint64_t end = std::max(base_offset + count, p.begin.load(std::memory_order_relaxed));
    p.end.store(end, std::memory_order_release);
  }

  /// Bytes of the log's rows in the journal that are not sealed yet.
  [[nodiscard]] std::uint64_t journal_bytes() const noexcept {
    return journal_bytes_.load(std::memory_order_relaxed);
  }
  void add_journal_bytes(std::uint64_t bytes) noexcept { journal_bytes_ += bytes; }
  void drop_journal_bytes(std::uint64_t bytes) noexcept { journal_bytes_ -= bytes; }

  /// Takes over what has been saved of a partition's rows.
  void restore_index(std::uint32_t partition, log_index index, std::uint64_t end) {
    partition_state& p = partitions_[partition];
    p.index = std::move(index);
    if (p.end.load(std::memory_order_relaxed) < end) p.end.store(end, std::memory_order_release);
  }
  /// Notes a sealed part; parts of a partition come in the order of their offsets.
  void add_sealed(sealed_part part) {
    partition_state& p = partitions_[part.where.partition];
    if (p.end.load(std::memory_order_relaxed) < part.where.end_offset) {
      p.end.store(part.where.end_offset, std::memory_order_release);
    }
    p.sealed.push_back(std::move(part));
  }
  /// Forgets the journal's rows up to and including `sequence`: their records are in segments now.
  void drop_rows_through(std::uint64_t sequence) {
    for (partition_state& p : partitions_) {
      p.index.drop_through(sequence, std::max(sealed_end(p), p.begin.load(std::memory_order_relaxed)));
    }
    sealed_through_ = sequence;
  }
  /// The last row of the journal whose records, if they are this log's, are in segments.
  [[nodiscard]] std::uint64_t sealed_through() const noexcept { return sealed_through_; }
  /// Raises the oldest offset; nothing reads what is before it from then on.
  void set_begin(std::uint32_t partition, std::uint64_t offset) {
    partition_state& p = partitions_[partition];
    if (p.end.load(std::memory_order_relaxed) < offset) p.end.store(offset, std::memory_order_release);
    p.begin.store(offset, std::memory_order_release);
  }
  /// Raises those of the first partitions.
  void set_begins(const std::vector<std::uint64_t>& offsets) {
    for (std::size_t p = 0; p < offsets.size(); ++p) set_begin(static_cast<std::uint32_t>(p), offsets[p]);
  }
  /// The offset up to which a partition has been compacted.
  [[nodiscard]] std::uint64_t compacted(std::uint32_t partition) const noexcept {
    return partition < compacted_.size() ? compacted_[partition] : 0;
  }
  void set_compacted(std::vector<std::uint64_t> offsets) { compacted_ = std::move(offsets); }
  /// Puts parts in the place of those for which `gone(part)` holds: the same offsets, or some of them.
  template <class Predicate>
  void replace_sealed(Predicate gone, const std::vector<sealed_part>& parts) {
    drop_sealed(gone);
    for (const auto& part : parts) partitions_[part.where.partition].sealed.push_back(part);
    for (partition_state& p : partitions_) {
      std::sort(p.sealed.begin(), p.sealed.end(), [](const sealed_part& a, const sealed_part& b) {
        return a.where.base_offset < b.where.base_offset;
      });
    }
  }
  /// Forgets the parts for which `gone(part)` holds.
  template <class Predicate>
  void drop_sealed(Predicate gone) {
    for (partition_state& p : partitions_) {
      p.sealed.erase(std::remove_if(p.sealed.begin(), p.sealed.end(), gone), p.sealed.end());
    }
  }

  /// The first sealed part of a partition that ends behind `offset`; nothing where the journal holds it.
  [[nodiscard]] std::optional<sealed_part> find_sealed(std::uint32_t partition, std::uint64_t offset) const {
    const auto& all = partitions_[partition].sealed;
    const auto found =
        std::upper_bound(all.begin(), all.end(), offset,
                         [](std::uint64_t o, const sealed_part& part) { return o < part.where.end_offset; });
    if (found == all.end()) return std::nullopt;
    return *found;
  }
  [[nodiscard]] const std::vector<sealed_part>& sealed(std::uint32_t partition) const noexcept {
    return partitions_[partition].sealed;
  }

  /// What is kept.
  [[nodiscard]] const storage::log_policy& policy() const noexcept { return policy_; }
  void set_policy(const storage::log_policy& policy) noexcept { policy_ = policy; }

  /// Guards all that follows and that comes before, but for what is atomic.
  [[nodiscard]] std::shared_mutex& mutex() const noexcept { return mutex_; }
  [[nodiscard]] const log_index& index(std::uint32_t partition) const noexcept {
    return partitions_[partition].index;
  }

 private:
  struct partition_state {
    log_index index;
    std::vector<sealed_part> sealed;  // by offset
    std::atomic<std::uint64_t> begin{0};
    std::atomic<std::uint64_t> end{0};
  };

  [[nodiscard]] static std::uint64_t sealed_end(const partition_state& p) noexcept {
    return p.sealed.empty() ? 0 : p.sealed.back().where.end_offset;
  }

  std::uint32_t id_;
  std::shared_ptr<const std::string> name_;
  std::uint8_t exchange_;
  bool create_time_;
  mutable std::shared_mutex mutex_;
  std::vector<partition_state> partitions_;
  std::uint64_t sealed_through_ = 0;
  storage::log_policy policy_;
  std::vector<std::uint64_t> compacted_;
  std::atomic<std::uint64_t> journal_bytes_{0};
  std::atomic<bool> deleted_{false};
};

}  // namespace levada::log
