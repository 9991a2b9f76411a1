#pragma once

/// @file
/// What is known in memory of one queue: which entries are ready, and which have been handed out.

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "queue/queue_blocks.hpp"

namespace levada::queue {

/// An entry that is handed to a consumer.
struct taken_entry {
  std::uint64_t position = 0;
  reference where;
  bool redelivered = false;
};

/// A queue of the catalogue. Ready are the entries from `next` on, as far as they are not settled, and before
/// them those that were returned; handed-out ones are known to their consumers. Safe to share.
class queue_state {
 public:
  queue_state(std::uint32_t id, std::string name, bool exclusive)
      : id_{id}, name_{std::move(name)}, exclusive_{exclusive} {}

  /// Takes up the stored state; once, before use.
  [[nodiscard]] result<void> load(const storage::transaction& txn, const storage::main_tables& tables);

  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool exclusive() const noexcept { return exclusive_; }

  /// The state as of the newest commit.
  [[nodiscard]] queue_row row() const;
  /// After a commit that changed the row.
  void committed(const queue_row& row);

  /// Hands out up to `most` ready entries, in order of position.
  [[nodiscard]] result<std::vector<taken_entry>> take(const storage::main_environment& main,
                                                      std::size_t most);
  /// Puts an entry back to its position, to be handed out with that flag.
  void put_back(const taken_entry& entry);
  /// Entries that were put back as redelivered, sorted: to be marked in the store when it is closed.
  [[nodiscard]] std::vector<std::uint64_t> redelivered_positions() const;
  /// Entries below this position counted as delivered when the store was opened.
  [[nodiscard]] std::uint64_t exposed_at_open() const noexcept { return exposed_at_open_; }

  /// How many consumers it has; read by the committing thread to see whether new entries are exposed at once.
  std::atomic<std::uint32_t> consumers{0};
  /// Entries handed out and neither settled nor put back.
  std::atomic<std::uint64_t> unacked{0};
  std::atomic<bool> deleted{false};

 private:
  const std::uint32_t id_;
  const std::string name_;
  const bool exclusive_;

  mutable std::mutex mutex_;
  queue_row row_;
  std::uint64_t exposed_at_open_ = 0;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, taken_entry> returned_;
  std::optional<block> block_;  // the one that `next_` stands in, as last read
};

}  // namespace levada::queue
