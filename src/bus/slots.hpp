#pragma once

/// @file
/// What exists in a bus: topics and exchanges, queues, groups, each with who waits for it.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bus/alarm.hpp"
#include "bus/failure_notice.hpp"
#include "bus/policy_set.hpp"
#include "bus/replaced.hpp"
#include "bus/wake_list.hpp"
#include "group/group_state.hpp"
#include "log/log_state.hpp"
#include "queue/queue_state.hpp"
#include "routing/binding_table.hpp"
#include "storage/catalog.hpp"

namespace levada {

class queue_consumer_state;
class share_group;
struct shared_index;

/// A topic or exchange.
struct topic_slot {
  explicit topic_slot(const storage::log_entry& stored)
      : state{stored}, entry{stored}, rules_{exchange_rules{stored.traits.alternate}} {
    state.set_policy(stored.policy);
    orphan = stored.orphan;
    if (stored.exchange != 0) bindings = std::make_unique<routing::binding_table>(type());
  }

  /// Of an exchange.
  [[nodiscard]] exchange_type type() const noexcept { return static_cast<exchange_type>(state.exchange()); }
  /// What holds now, by what was declared and by policies. Borrowed from this object.
  [[nodiscard]] const exchange_rules& rules() const noexcept { return rules_.get(); }
  /// By the committing thread alone, or before it is in use.
  void set_rules(exchange_rules next) { rules_.set(std::move(next)); }

  log::log_state state;
  wake_list readers;
  std::atomic<std::uint32_t> next_partition{0};
  /// Whether it is an exchange that has been deleted: its log waits for queues that refer to it.
  std::atomic<bool> orphan{false};

  // The committing thread alone:
  storage::log_entry entry;                          // as stored
  std::vector<std::uint64_t> staged_ends;            // empty when nothing is staged
  std::uint64_t staged_bytes = 0;                    // of rows
  std::unique_ptr<routing::binding_table> bindings;  // of an exchange

 private:
  replaced<exchange_rules> rules_;
};

struct queue_slot : std::enable_shared_from_this<queue_slot> {
  explicit queue_slot(const storage::queue_entry& entry)
      : state{entry.id, entry.name, entry.exclusive, entry.traits.delivery_limit,
              std::size_t{entry.traits.max_priority.value_or(0)} + 1},
        of_share_group{entry.share_group != 0},
        created{entry.created},
        declared{entry.traits},
        attended{always_attended()} {}

  queue::queue_state state;
  const bool of_share_group;
  const std::int64_t created;  ///< by the time of the bus
  const storage::queue_traits declared;

 private:
  replaced<queue_rules> rules_{queue_rules{declared}};

 public:
  /// What holds now, by what was declared and by policies. Borrowed from this object.
  [[nodiscard]] const queue_rules& rules() const noexcept { return rules_.get(); }
  /// By the committing thread alone, or before it is in use.
  void set_rules(queue_rules next) {
    state.set_delivery_limit(next.delivery_limit);
    rules_.set(std::move(next));
    if (always_attended()) attended = true;
  }
  wake_list waiting;
  /// Where a message of that priority goes.
  [[nodiscard]] std::size_t lane_for(std::uint8_t priority) const noexcept {
    const std::size_t most = declared.max_priority.value_or(0);
    return most - std::min<std::size_t>(priority, most);
  }
  /// Whether each handing out is counted before it happens.
  [[nodiscard]] bool counts_deliveries() const noexcept {
    return rules().delivery_limit.has_value() || rules().redelivery.has_value();
  }
  /// Whether anything in it may come back too often, or wait, whatever it is.
  [[nodiscard]] bool always_attended() const noexcept { return counts_deliveries(); }
  /// Whether anything in it may expire, come back too often, or wait. Once it is in use, the committing
  /// thread alone changes this.
  std::atomic<bool> attended;
  /// When somebody looks at its head next; see `attendant`.
  alarm next_look;
  /// When it was last used, as far as that keeps it from expiring; by the time of the bus.
  std::atomic<std::int64_t> last_use{0};

  /// What of the past is being entered, in order. Changed by the committing thread alone, in `core`.
  std::vector<storage::backfill_entry> backfills;
  /// How many offsets are still to be looked at for these.
  std::atomic<std::uint64_t> backfill_left{0};
  /// Whether somebody is about to go on with them, and whether he is to look once more.
  std::atomic<bool> backfill_looked_after{false};
  std::atomic<bool> backfill_look_wanted{false};
  failure_notice backfill_failures;
  /// After `backfills` has changed. That nothing is left is told by `tell_end_of_backfills` alone.
  void note_backfills() noexcept {
    std::uint64_t left = 0;
    for (const auto& backfill : backfills) left += backfill.left();
    if (left > 0) backfill_left = left;
  }
  /// Once it is known what has been entered: who sees that nothing is left, sees that too.
  void tell_end_of_backfills() noexcept {
    if (backfills.empty() && backfill_left != 0) backfill_left = 0;
  }

  std::mutex consumers_mutex;                                    // guards what follows
  std::vector<std::shared_ptr<queue_consumer_state>> consumers;  // in the order in which they came
  std::weak_ptr<queue_consumer_state> active;                    // where only one may be
  /// Whether any two differ in priority.
  std::atomic<bool> prioritised{false};

  // The committing thread alone:
  struct {
    shared_index* at = nullptr;
    std::uint32_t stayed = 0;    // commits that brought something there
    std::uint32_t partings = 0;  // how often it has left one
    std::uint32_t pause = 0;     // commits that bring something before it may be put at one again
    // In this commit:
    std::size_t arrival = 0;  // number of those at its index to which the same comes
    bool entered = false;     // what is staged has been written
    bool moved = false;       // it has been put at an index, or has left one
  } sharing;
  std::optional<queue::queue_row> staged_row;
  std::uint64_t settled_before = 0;  // of `staged_row`
  std::uint64_t exposed_before = 0;
  std::vector<queue::reference> staged_entries;  // in the order in which they will be handed out
  std::vector<std::size_t> staged_lanes;         // of these, where there are several
  std::uint64_t staged_bytes = 0;                // of those that are not gone
  std::size_t staged_gone = 0;                   // of staged entries, from the front: they are not stored
  queue::amount staged_settled;                  // of what was handed out or condemned
  std::uint64_t staged_condemned = 0;            // how many of these were condemned
  bool staged_release = false;                   // more of what it holds may be handed out
  std::vector<queue::taken_entry> staged_taken;  // at the head, to be put back if nothing comes of it
};

struct group_slot {
  group_slot(std::uint32_t group_id, std::string group_name) : id{group_id}, name{std::move(group_name)} {}

  const std::uint32_t id;
  const std::string name;
  /// Of a share group, the records in flight; else null. Set before the group can be found.
  std::shared_ptr<queue_slot> in_flight;
  /// The last tag that a share group has given a delivery.
  std::atomic<std::uint64_t> last_tag{0};
  wake_list members;

  std::mutex mutex;  // guards what follows
  group::group_state state;
  std::weak_ptr<share_group> share;  // of a share group, while it has members
  bool deleted = false;
  std::uint64_t offset_commits = 0;  // that members have had executed
};

/// A table of the host's.
struct table_slot {
  explicit table_slot(const storage::table_entry& entry) : id{entry.id}, name{entry.name} {}

  const std::uint32_t id;
  const std::string name;
  std::atomic<bool> deleted{false};
};

}  // namespace levada
