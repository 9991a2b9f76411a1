#pragma once

/// @file
/// Which queues store in one place what comes to all of them. Nobody declares that: queues to which a commit
/// brings the same are put at a shared index (queue/shared_index.hpp), and stay there until something else
/// comes to them. What is stored once, is read by each queue as its own.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "queue/queue_blocks.hpp"
#include "queue/shared_index.hpp"
#include "storage/main_environment.hpp"

#include <levada/error.hpp>

namespace levada {

class commit_scope;
class core;
struct queue_slot;

/// An index, and who uses it. The committing thread alone.
struct shared_index {
  /// Queues to which a commit brings the same.
  struct same {
    std::vector<queue_slot*> queues;
  };

  std::uint32_t id = 0;
  queue::queue_row row;
  std::vector<queue_slot*> members;  // to which comes what is appended
  std::set<std::uint32_t> readers;   // these, and queues that still hold something of it
  std::uint64_t erased_to = 0;       // blocks before have been erased
  std::uint64_t done_with = 0;       // blocks that queues were done with since the last sweep, each by each
  bool due = false;                  // to be swept, however few

  // Of the commit under way:
  std::vector<same> arrivals;
  std::optional<queue::queue_row> staged_row;
  std::optional<std::uint64_t> staged_erased_to;
  bool swept = false;
  bool staged_end = false;  // nothing is left of it
};

/// The committing thread alone, but for `load`.
class shared_indexes {
 public:
  explicit shared_indexes(core& owner) noexcept : owner_{owner} {}

  /// Takes up what is stored; once, when the queues have been.
  [[nodiscard]] result<void> load(const storage::transaction& txn, const storage::main_tables& tables);

  /// At the end of a commit: appends to indexes what has been staged for several queues, and notes at each
  /// whether that is done, or has yet to be. `queues` are those that the commit changes; may add to them.
  [[nodiscard]] result<void> enter(commit_scope& scope, std::vector<queue_slot*>& queues);
  /// Has a queue store by itself what comes to it; so that positions may be kept free in it, for example.
  [[nodiscard]] result<void> leave(commit_scope& scope, queue_slot& queue);
  /// A queue of this commit was done with blocks of indexes, and has nothing any more of some.
  void note_settled(std::uint32_t queue, const queue::settled_amount& settled);
  /// The commit erases the last rows of a queue.
  void note_erased(std::uint32_t queue);
  void committed();
  void forget() noexcept;  // what is staged

  /// A queue is deleted, though its rows are still there.
  void remove(queue_slot& queue);

 private:
  struct change {
    queue_slot* queue;
    shared_index* to;  // null: it leaves
  };
  struct reading {
    shared_index* index;
    std::uint32_t queue;
  };
  [[nodiscard]] result<void> part(commit_scope& scope, shared_index& index);
  [[nodiscard]] result<void> append(commit_scope& scope, shared_index& index,
                                    const std::vector<queue_slot*>& queues);
  [[nodiscard]] result<void> join(commit_scope& scope, shared_index& index, queue_slot& queue,
                                  std::size_t alone, std::uint64_t at);
  [[nodiscard]] result<void> form(commit_scope& scope, const std::vector<queue_slot*>& queues);
  [[nodiscard]] result<void> sweep(commit_scope& scope);
  [[nodiscard]] result<void> sweep(commit_scope& scope, shared_index& index, std::size_t& rows);
  void want_sweep(shared_index& index) noexcept;
  void note_done(shared_index& index, std::uint64_t blocks) noexcept;

  core& owner_;
  std::map<std::uint32_t, std::unique_ptr<shared_index>> all_;
  std::uint32_t next_id_ = queue::first_shared_index;
  bool any_due_ = false;

  // Of the commit under way:
  std::vector<shared_index*> touched_;  // to which something comes
  std::vector<shared_index*> swept_;
  std::vector<reading> ended_;             // who has nothing of an index any more
  std::vector<shared_index::same> loose_;  // of queues that are at no index
  std::vector<change> changes_;
  std::vector<std::unique_ptr<shared_index>> begun_;
};

}  // namespace levada
