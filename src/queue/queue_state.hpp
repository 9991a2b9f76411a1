#pragma once

/// @file
/// What is known in memory of one queue: which entries are ready, and which have been handed out.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "queue/queue_blocks.hpp"

#include <levada/dead_letter.hpp>

namespace levada::queue {

/// An entry that is handed to a consumer.
struct taken_entry {
  std::uint64_t position = 0;
  reference where;
  bool redelivered = false;
  /// Whether `where.deliveries` counts a delivery that has not been made yet.
  bool counted = false;
  /// When a consumer has got it, in microseconds since 1970, where that is noted; else 0.
  std::int64_t delivered = 0;
};

/// An entry that is to leave the queue.
struct condemned_entry {
  taken_entry entry;
  dead_letter_reason why = dead_letter_reason::expired;
};

/// What becomes of entries that have expired, or come back too often, where others are handed out.
enum class flawed : bool {
  /// They are condemned.
  apart,
  /// They are handed out as well.
  as_well,
};

/// How many messages, and the bytes that limits count.
struct amount {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

/// A queue of the catalogue. Ready are the entries from `next` on, as far as they are not settled, and before
/// them those that were returned; handed-out ones are known to their consumers, condemned ones are to be
/// settled, and waiting ones, which were returned as well, will be ready again. Times are those of the bus,
/// in microseconds since 1970. Safe to share.
class queue_state {
 public:
  /// `delivery_limit`: how often entries may come back.
  queue_state(std::uint32_t id, std::string name, bool exclusive,
              std::optional<std::uint32_t> delivery_limit = std::nullopt, std::size_t lanes = 1)
      : id_{id},
        name_{std::move(name)},
        exclusive_{exclusive},
        delivery_limit_{delivery_limit.value_or(unlimited)},
        next_(lanes),
        exposed_at_open_(lanes) {
    row_.further.resize(lanes - 1);
    for (std::size_t n = 0; n < lanes; ++n) next_[n] = lane_begin(n);
  }

  /// Takes up the stored state; once, before use. `bars` as those of a `queue_row`.
  [[nodiscard]] result<void> load(const storage::transaction& txn, const storage::main_tables& tables,
                                  std::vector<std::uint64_t> bars = {});

  /// Then, where messages may wait: finds those that still do, which takes reading all of it.
  [[nodiscard]] result<void> load_waiting(const storage::transaction& txn, const storage::main_tables& tables,
                                          std::int64_t now);

  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool exclusive() const noexcept { return exclusive_; }

  /// The state as of the newest commit.
  [[nodiscard]] queue_row row() const;
  /// After a commit that changed the row, and settled so much of what had been taken or condemned; so many of
  /// these were condemned.
  void committed(const queue_row& row, const amount& settled, std::uint64_t condemned = 0);

  [[nodiscard]] amount ready() const;
  /// Handed out, and neither settled nor put back; those that wait included.
  [[nodiscard]] std::uint64_t unacked() const;
  [[nodiscard]] std::uint64_t waiting() const;

  /// Hands out up to `most` ready entries, in order of position.
  [[nodiscard]] result<std::vector<taken_entry>> take(const storage::main_environment& main, std::size_t most,
                                                      std::int64_t now, flawed which = flawed::apart);
  /// Condemns at the head alone, until an entry is still of use; returns when that one will expire, or the
  /// next that waits be ready again, if ever.
  [[nodiscard]] result<std::optional<std::int64_t>> condemn_at_head(const storage::main_environment& main,
                                                                    std::int64_t now);
  /// Up to `most` of what is condemned, to be settled now.
  [[nodiscard]] std::vector<condemned_entry> take_condemned(std::size_t most);
  [[nodiscard]] bool has_condemned() const;
  void condemn_again(const std::vector<condemned_entry>& entries);
  /// Copies of the first `most` ready entries.
  [[nodiscard]] result<std::vector<reference>> look_at(const storage::main_environment& main,
                                                       std::size_t most, std::int64_t now) const;
  /// Puts an entry back to its position, to be handed out with that flag; or condemns it, where it has come
  /// back too often.
  void put_back(const taken_entry& entry);
  /// The same of one that is not to be handed out before `due`.
  void put_back_at(const taken_entry& entry, std::int64_t due);
  /// Whether an entry has come back too often.
  [[nodiscard]] bool exhausted(const taken_entry& entry) const noexcept {
    const std::uint32_t limit = delivery_limit_.load(std::memory_order_relaxed);
    return limit != unlimited && entry.where.deliveries > limit + (entry.counted ? 1 : 0);
  }
  /// How often entries may come back, from now on.
  void set_delivery_limit(std::optional<std::uint32_t> limit) noexcept {
    delivery_limit_.store(limit.value_or(unlimited), std::memory_order_relaxed);
  }
  /// Entries that were put back as redelivered, sorted: to be marked in the store when it is closed.
  [[nodiscard]] std::vector<std::uint64_t> redelivered_positions() const;
  /// Which entries counted as delivered when the store was opened: takes the marks back to there. Returns
  /// whether that changes anything.
  bool take_exposed_back(queue_row& row) const;

  /// How many consumers it has; read by the committing thread to see whether new entries are exposed at once.
  std::atomic<std::uint32_t> consumers{0};
  std::atomic<bool> deleted{false};

 private:
  /// The entry that is handed out next; it stays. With `mutex_` held.
  [[nodiscard]] result<std::optional<taken_entry>> head(const storage::main_environment& main);
  /// The same of those of a lane that have not been handed out before.
  [[nodiscard]] result<std::optional<taken_entry>> head_of(std::size_t lane,
                                                           const storage::main_environment& main);
  /// One beyond the lane's last position that may be handed out now.
  [[nodiscard]] std::uint64_t end_of(std::size_t lane) const { return lane_begin(lane) + row_.end(lane); }
  /// Has what has waited be ready again. With `mutex_` held.
  void release(std::int64_t now);
  /// Takes it. With `mutex_` held, after `head`.
  void take_head(const taken_entry& entry);
  [[nodiscard]] std::optional<dead_letter_reason> flaw_of(const taken_entry& entry, std::int64_t now) const;
  void condemn(const taken_entry& entry, dead_letter_reason why);  // with `mutex_` held; it has been taken

  const std::uint32_t id_;
  const std::string name_;
  const bool exclusive_;
  static constexpr std::uint32_t unlimited = std::numeric_limits<std::uint32_t>::max();
  std::atomic<std::uint32_t> delivery_limit_;

  mutable std::mutex mutex_;
  queue_row row_;
  std::vector<std::uint64_t> next_;             // the position in each lane from which on entries are ready
  std::vector<std::uint64_t> exposed_at_open_;  // of each lane
  std::map<std::uint64_t, taken_entry> returned_;
  std::optional<block> block_;                        // the one that `next_` stands in, as last read
  std::multimap<std::int64_t, taken_entry> waiting_;  // by when they are ready again
  std::int64_t waits_known_until_ =
      std::numeric_limits<std::int64_t>::max();  // who waits longer, is in there
  amount out_;                                   // handed out, condemned, or waiting
  std::uint64_t condemned_count_ = 0;            // also while they are being settled
  std::vector<condemned_entry> condemned_;       // and not taken to be settled
};

}  // namespace levada::queue
