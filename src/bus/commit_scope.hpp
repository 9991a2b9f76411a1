#pragma once

/// @file
/// What intents write through.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
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
  void enqueue(queue_slot& queue, const queue::reference& where, std::uint8_t priority);
  /// Writes references to positions of a lane that have been kept free for them, from `at` on, counted from
  /// the lane's beginning.
  [[nodiscard]] result<void> fill(queue_slot& queue, std::size_t lane, std::uint64_t at,
                                  std::span<const queue::reference> entries);
  /// What has been kept back in a queue may be handed out once this is committed.
  void release(queue_slot& queue);
  /// The same to what a share group has in flight; returns the position.
  std::uint64_t acquire(queue_slot& in_flight, const queue::reference& where);
  /// Settles entries that were handed out or condemned, whose positions are sorted.
  [[nodiscard]] result<void> settle(queue_slot& queue, const std::vector<std::uint64_t>& positions);
  /// What is ready, with what this commit has entered so far.
  [[nodiscard]] queue::amount ready(const queue_slot& queue) const;
  /// Settles the entry that would be handed out next; nothing where there is none.
  [[nodiscard]] result<std::optional<queue::reference>> drop_head(queue_slot& queue);

  /// A message that leaves a queue without having been wanted.
  struct casualty {
    queue_slot* queue;
    queue::reference where;
    dead_letter_reason why;
    std::int64_t delivered = 0;  ///< when it had been handed out, in microseconds since 1970; 0: it had not
  };
  /// Those that have yet to become dead letters.
  [[nodiscard]] std::deque<casualty>& casualties() noexcept { return casualties_; }
  /// Notes where a message is to be found that this commit stores.
  void remember(const queue::reference& where, const log::row_encoder& rows);
  /// Nothing where it was not remembered.
  [[nodiscard]] const log::row_encoder* remembered(const queue::reference& where) const;
  /// Keeps something as long as the commit goes on.
  template <class T>
  std::shared_ptr<T> keep(std::shared_ptr<T> what) {
    kept_.push_back(what);
    return what;
  }
  /// All that a ticket is for is settled once this is committed.
  void note_settled(std::string message_id) { settled_messages_.push_back(std::move(message_id)); }
  /// Adds a record to the topic of the flow ledger.
  void add_to_ledger(const log::record_source& event);
  /// Something will be due by then that this commit schedules.
  void expect(std::int64_t due) noexcept { due_ = std::min(due_.value_or(due), due); }
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
  [[nodiscard]] result<void> append_staged(queue_slot& queue, queue::queue_row& row);
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
  std::deque<casualty> casualties_;
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>, const log::row_encoder*> remembered_;
  std::vector<std::shared_ptr<void>> kept_;
  std::optional<std::int64_t> due_;
  std::vector<std::string> settled_messages_;
  std::optional<log::row_encoder> ledger_rows_;
  commit_counts counts_;
  bool broken_ = false;
  bool undone_ = false;  // broken, because that was wanted
};

}  // namespace levada
