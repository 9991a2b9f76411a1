#pragma once

/// @file
/// Entering into a queue what stands in exchanges' logs: all that a binding would have selected had it been
/// there before, or once more what has been routed to the queue.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/commit_scope.hpp"
#include "bus/needless.hpp"
#include "bus/router.hpp"
#include "queue/schedule.hpp"

#include <levada/options.hpp>

namespace levada {

/// Where each partition of a log is read from. Within a commit that is alone; `operation` is for messages.
/// Fails with `invalid_argument`, `offset_out_of_range` or `overtaken`.
[[nodiscard]] result<beginnings> positions_of(core& owner, const std::string& operation,
                                              const topic_slot& log, const start_position& from);

/// While this is the first of a queue's backfills, how far each lane is handed out: as `queue_row::bars`.
[[nodiscard]] std::vector<std::uint64_t> bars_of(const storage::backfill_entry& first);

/// Something of the past that begins to be entered into a queue: keeps positions free for it behind all that
/// the queue holds, and has nothing behind those handed out before it is done. Within a commit that is alone.
class backfill_beginning {
 public:
  /// `what` as it is to be stored, but for its id, its room and its lanes, which are decided here.
  backfill_beginning(queue_slot& queue, storage::backfill_entry what)
      : queue_{queue}, what_{std::move(what)} {}

  [[nodiscard]] result<void> write(commit_scope& scope);
  /// After the commit.
  void apply(core& owner);

 private:
  queue_slot& queue_;
  storage::backfill_entry what_;
  bool something_ = false;
};

/// Ends whatever is being entered into a queue, where it stands: what is there stays.
[[nodiscard]] result<void> end_backfills(core& owner, const std::string& operation, queue_slot& queue);
/// Enters once more what has been routed to a queue by bindings that it has. Fails with `invalid_argument`
/// for an offset.
[[nodiscard]] result<void> replay_into(core& owner, queue_slot& queue, const start_position& from);

/// What a backfill selects, by the bindings of the moment. Within a commit.
class backfill_selection {
 public:
  backfill_selection(const core& owner, const queue_slot& queue, const storage::backfill_entry& what);

  /// Whether there is still an exchange, and a binding, that it could select by.
  [[nodiscard]] bool any_from(std::uint32_t log) const { return logs_.contains(log); }
  /// Whether it enters a message that stands there.
  [[nodiscard]] bool takes(std::uint32_t log, std::uint32_t partition, std::uint64_t offset,
                           routed_message& m);

 private:
  /// Bindings of one exchange to the queue.
  struct one_binding {
    std::vector<std::uint64_t> since;
    routing::binding_table table;
    [[nodiscard]] bool is_for(std::uint32_t partition, std::uint64_t offset) const {
      return since.empty() || offset >= since[partition];
    }
  };
  struct of_log {
    const topic_slot* exchange = nullptr;
    std::vector<one_binding> wanted;  // one of these is to match,
    std::vector<one_binding> known;   // and none of these: the queue has it by them
  };
  [[nodiscard]] bool matches(const topic_slot& exchange, one_binding& binding, routed_message& m);

  const std::string& queue_name_;
  std::map<std::uint32_t, of_log> logs_;
  std::vector<routing::binding_table::destination> found_;
};

/// Goes on with backfills, in slices, each of one commit, without anybody waiting for it, and also after the
/// store has been opened anew. Safe to share, but for what says otherwise.
class backfiller {
 public:
  explicit backfiller(core& owner) noexcept : owner_{owner} {}

  /// Where a queue has backfills: goes on with the first. From anywhere, also in the middle of a commit.
  void look_soon(queue_slot& queue);
  /// One has come to its end. The committing thread alone.
  void forget(std::uint32_t backfill) { scheduled_.erase(backfill); }
  /// Whether a message that has waited for its time will come to the queue as part of what is being entered,
  /// and so is not to come at once. The committing thread alone.
  [[nodiscard]] bool will_enter(const queue_slot& queue, const queue::scheduled_message& message,
                                routed_message& m) const;

 private:
  class slice;
  void look_at(const std::shared_ptr<queue_slot>& queue, std::int64_t when);

  core& owner_;
  /// The committing thread alone: by id of a backfill, which of its messages waited for their time when it
  /// was begun with, by where they stand.
  std::map<std::uint32_t, std::vector<queue::scheduled_message>> scheduled_;
};

}  // namespace levada
