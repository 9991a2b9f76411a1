#pragma once

/// @file
/// What a subscription has read and not done: which records may be handled now, and how far each partition is
/// done.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include <levada/options.hpp>
#include <levada/record.hpp>
#include <levada/record_batch.hpp>
#include <levada/types.hpp>

namespace levada {

/// Not safe to share: whoever has it guards it.
class handling_queue {
 private:
  struct partition;

 public:
  explicit handling_queue(handling_order order) : order_{order} {}

  /// A record on its way. Keeps the batch that it borrows from.
  class entry {
   public:
    [[nodiscard]] const record_view& record() const noexcept { return record_; }
    /// How many times it has been handled, this one included.
    [[nodiscard]] std::uint32_t attempt() const noexcept { return attempt_; }

   private:
    friend class handling_queue;
    record_view record_;
    std::shared_ptr<const record_batch> batch_;
    std::shared_ptr<partition> where_;
    std::uint64_t turn_ = 0;    // in the order of reading
    std::uint64_t number_ = 0;  // the same, within its partition
    std::uint64_t line_ = 0;
    std::uint32_t attempt_ = 1;
  };

  /// Puts the records of a batch behind those that are there.
  void add(const record_batch& batch);
  /// The first record that may be handled; then it is being handled.
  [[nodiscard]] std::optional<entry> next();
  /// How many there are of these.
  [[nodiscard]] std::size_t ready() const noexcept { return ready_.size(); }
  /// It is done: what waited behind it may be handled. Returns whether that moves what is settled.
  bool done(const entry& e);
  /// It is not being handled any more, and will be once more, when it has been put back; until it is done,
  /// what must not overtake it waits.
  void set_aside(entry& e);
  void put_back(entry e);

  /// Of these partitions only what stands before a record that was handed out is still handed out, until they
  /// are released or dropped: so that what is done of them leaves no gap.
  void hold(std::span<const topic_partition> partitions);
  void hold_all();
  /// Whether anything of these is being handled, or may be.
  [[nodiscard]] bool has_work(std::span<const topic_partition> partitions) const;
  [[nodiscard]] bool handles_any(std::span<const topic_partition> partitions) const;
  /// What is held goes on where it is among `owned`, which is sorted, and is dropped where it is not.
  void release(std::span<const topic_partition> owned);
  /// Forgets these partitions; what is being handled of them may still come to its end.
  void drop(std::span<const topic_partition> partitions);

  /// The offset up to which all of a partition's records that were read are done; nothing where none has been
  /// done since the last `note_committed`.
  [[nodiscard]] std::optional<offset> settled(const topic_partition& where) const;
  /// The same of all partitions.
  [[nodiscard]] std::vector<std::pair<topic_partition, offset>> settled() const;
  void note_committed(const topic_partition& where, offset next);

  /// Records that are not done.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct partition {
    topic_partition where;
    /// The records from the first that is not done on: their offsets, and whether they are done.
    std::deque<std::pair<std::uint64_t, bool>> records;
    std::uint64_t first_number = 0;  // of the first of them
    std::uint64_t end = 0;           // the offset behind the last that was read
    std::uint64_t committed = 0;     // or where reading began
    std::size_t handled = 0;         // being handled
    std::uint64_t begun = 0;         // the number behind the last that has been
    std::uint64_t limit = 0;         // while it is held, the number from which on nothing is handed out
    bool held = false;
    bool dropped = false;
  };
  /// Records that must not overtake each other. The line's first record is ready, being handled, or set
  /// aside; these are the others.
  struct line_key {
    const partition* where = nullptr;
    std::uint64_t hash = 0;
    friend bool operator==(const line_key&, const line_key&) = default;
  };
  struct line_hash {
    std::size_t operator()(const line_key& k) const noexcept {
      return std::hash<const void*>{}(k.where) ^ static_cast<std::size_t>(k.hash * 0x9E3779B97F4A7C15U);
    }
  };

  /// Whether others may have to wait for it.
  [[nodiscard]] bool is_ordered(const record_view& r) const noexcept;
  [[nodiscard]] static std::uint64_t next_of(const partition& p) noexcept {
    return p.records.empty() ? p.end : p.records.front().first;
  }
  /// Puts it where it is found when its turn comes.
  void place(entry e);
  void hold(partition& p);
  void hold_back();
  void drop(partition& p);

  const handling_order order_;
  std::map<topic_partition, std::shared_ptr<partition>> partitions_;
  std::unordered_map<line_key, std::deque<entry>, line_hash> lines_;
  std::map<std::uint64_t, entry> ready_;      // by turn
  std::map<std::uint64_t, entry> held_back_;  // ready, but for being held
  std::uint64_t last_turn_ = 0;
  std::size_t size_ = 0;
};

}  // namespace levada
