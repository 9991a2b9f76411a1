#pragma once

/// @file
/// What intents write through.

#include <cstdint>
#include <optional>
#include <vector>

#include "bus/counters.hpp"
#include "bus/slots.hpp"
#include "log/row_encoder.hpp"
#include "storage/catalog.hpp"
#include "storage/main_environment.hpp"

#include <levada/error.hpp>

namespace levada {

class core;

/// One commit under way: what intents write through. The committing thread alone.
class commit_scope {
 public:
  commit_scope(core& owner, storage::write_transaction& txn, std::int64_t now) noexcept
      : core_{owner}, txn_{txn}, now_{now} {}

  [[nodiscard]] core& owner() noexcept { return core_; }
  [[nodiscard]] storage::write_transaction& txn() noexcept { return txn_; }
  [[nodiscard]] const storage::main_tables& tables() const noexcept;
  /// The bus's time for everything in this commit, in microseconds.
  [[nodiscard]] std::int64_t now() const noexcept { return now_; }

  /// Appends finished rows to their partition; returns the offset of the first record.
  [[nodiscard]] result<std::uint64_t> append(topic_slot& topic, log::row_encoder& rows);
  /// Adds a reference to a queue; written with all others of the commit at its end.
  void enqueue(queue_slot& queue, const queue::reference& where);
  /// Settles entries, whose positions are sorted.
  [[nodiscard]] result<void> settle(queue_slot& queue, const std::vector<std::uint64_t>& positions);
  /// The queue's state as this commit will leave it; changing it writes it at the end.
  [[nodiscard]] queue::queue_row& row_of(queue_slot& queue);
  /// The store's own entry as this commit will leave it; changing it writes it at the end.
  [[nodiscard]] storage::store_entry& store();

  /// What is counted once this is committed, and forgotten where it is not.
  [[nodiscard]] commit_counts& counts() noexcept { return counts_; }

  /// Whether a write has failed, so that nothing of this commit can be kept.
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// Passes a result of a write on, and notes when it failed: then the whole transaction is void.
  template <class T>
  [[nodiscard]] result<T> written(result<T> r) {
    if (!r) broken_ = true;
    return r;
  }
  /// Passes on why the whole transaction shall be undone, though nothing has failed to be written.
  [[nodiscard]] result<void> undo(error why) {
    undone_ = !broken_;
    broken_ = true;
    return why;
  }

 private:
  friend class core;

  struct added_row {
    topic_slot* topic;
    std::uint64_t sequence;
    std::uint64_t base_offset;
    std::int64_t time_last;
    std::uint32_t partition;
    std::uint32_t count;
  };

  [[nodiscard]] result<void> write_staged();
  void forget() noexcept;  // everything staged
  void publish();          // after the commit: memory follows

  core& core_;
  storage::write_transaction& txn_;
  const std::int64_t now_;
  std::optional<storage::cursor> journal_;
  std::uint64_t rows_appended_ = 0;
  std::uint64_t bytes_appended_ = 0;
  std::optional<storage::store_entry> store_;
  std::vector<added_row> added_rows_;
  std::vector<topic_slot*> topics_;
  std::vector<queue_slot*> queues_;
  commit_counts counts_;
  bool broken_ = false;
  bool undone_ = false;  // broken, because that was wanted
};

}  // namespace levada
