#pragma once

/// @file
/// Group commit: many threads' intents in one transaction, led by whoever came first (after LevelDB's writer
/// queue). A leader waits a moment for those whom the commit before has just released, as they are likely to
/// come back (after MySQL's binlog_group_commit_sync_no_delay_count, but without a setting).

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <levada/clock.hpp>
#include <levada/error.hpp>

namespace levada {

class commit_scope;

/// Something that shall happen to the store, all of it or nothing. Executed by a leading thread while its
/// maker waits; or submitted, and then nobody waits.
class intent {
 public:
  explicit intent(std::size_t cost = 0) noexcept : cost_{cost} {}
  virtual ~intent() = default;
  intent(const intent&) = delete;
  intent& operator=(const intent&) = delete;

  /// Validates, then writes. An error that comes from validation leaves the transaction untouched and
  /// concerns this intent alone; a failed write is noted by `commit_scope` and undoes the whole transaction.
  /// May be called again when a group is repeated one by one.
  [[nodiscard]] virtual result<void> execute(commit_scope& scope) = 0;
  /// Changes memory after the commit, before the next group begins.
  virtual void applied(commit_scope& scope) noexcept = 0;

  /// Tells how a submitted intent has ended, in the thread that led it, which holds no lock and leads no
  /// more. Must neither wait nor run code of the host.
  virtual void finished(result<void>) noexcept {}

  /// Changes of the catalogue run alone, so that no other intent of the group needs to see them half-done.
  /// One that is waited for is then executed by the thread that waits.
  [[nodiscard]] virtual bool alone() const noexcept { return false; }

  /// Bytes that it adds to the store; 0 for what makes room.
  [[nodiscard]] std::size_t cost() const noexcept { return cost_; }

  /// When the call began that waits for it, by the clock of the bus; for who tells how long that took.
  static constexpr clock::steady_time not_waited_for = clock::steady_time::min();
  [[nodiscard]] clock::steady_time since() const noexcept { return since_; }
  void set_since(clock::steady_time when) noexcept { since_ = when; }

 private:
  friend class group_commit;
  friend class commit_engine;

  /// Where a thread waits for its turn: to lead, or to go on because others have led. Outlives the intent, so
  /// that it can be notified without a lock.
  struct waiting_place {
    enum class state : unsigned { waiting, leads, done };
    std::atomic<state> now = state::waiting;
  };

  const std::size_t cost_;  // bytes that count against the bound
  clock::steady_time since_ = not_waited_for;
  result<void> outcome_;
  std::shared_ptr<waiting_place> place_;  // none: it was submitted
};

/// Executes a group: what `group_commit` leaves to the bus.
class commit_engine {
 public:
  virtual ~commit_engine() = default;
  /// Sets the outcome of every intent. Throws nothing.
  virtual void commit(std::span<intent* const> group) noexcept = 0;

 protected:
  static void set_outcome(intent& i, result<void> outcome) noexcept { i.outcome_ = std::move(outcome); }
  [[nodiscard]] static const result<void>& outcome(const intent& i) noexcept { return i.outcome_; }
};

/// The queue of intents. Whoever waits in front of the others leads; where nobody waits, whoever calls
/// `lead`. Safe to share.
class group_commit {
 public:
  /// `pending_bytes_max` bounds the cost of the intents that wait. `leader_wanted` is called, without a lock,
  /// when something was submitted that nobody leads; it must not wait.
  group_commit(
      commit_engine& engine, std::size_t pending_bytes_max, std::function<void()> leader_wanted = [] {})
      : engine_{engine}, pending_bytes_max_{pending_bytes_max}, leader_wanted_{std::move(leader_wanted)} {}
  group_commit(const group_commit&) = delete;
  group_commit& operator=(const group_commit&) = delete;
  /// What was submitted and not led is given up without being told.
  ~group_commit();

  /// Waits for room (an intent without cost does not), then until the intent is durable or refused. The
  /// calling thread may have to lead. Intents of one thread keep their order.
  [[nodiscard]] result<void> run(intent& i);

  /// Who sees to it that what is submitted is led, where nobody does by then.
  enum class led_by : bool { any, caller };
  /// Queues an intent behind all others, and leaves it. Does not wait for room: whoever minds asks first.
  /// A caller who says that he leads calls `lead_some` next.
  void submit(std::unique_ptr<intent> i, led_by who = led_by::any);
  /// Whether an intent of that cost would have to wait for room.
  [[nodiscard]] bool has_room(std::size_t cost) const;
  /// Leads what was submitted, as long as nobody else does.
  void lead();
  /// Leads one group, if nobody else leads, and leaves the rest to others: for who waits for something that
  /// he has submitted.
  void lead_some();
  /// Returns when an intent of that cost would not have to wait; leads until then where nobody else does.
  void make_room(std::size_t cost);
  /// The cost of the intents that wait or are being committed.
  [[nodiscard]] std::size_t pending_bytes() const;
  /// Whether there is something for `lead` to do.
  [[nodiscard]] bool wants_leader() const;
  /// Takes back what was submitted; nothing while somebody leads.
  [[nodiscard]] std::vector<std::unique_ptr<intent>> take_back();

 private:
  /// One transaction takes no more than this, so that followers do not wait for ever for one fsync.
  static constexpr std::size_t group_bytes_max = std::size_t{16} << 20;

  /// What a leader waits at most: little beside the commit, and nothing when that is less than it takes to
  /// wake a thread.
  static constexpr int commit_to_wait_ratio = 8;
  static constexpr std::chrono::microseconds wait_min{50};
  static constexpr std::chrono::microseconds wait_max{1000};
  /// Then it yields at most so long, where the commit takes long enough to have flushed.
  static constexpr int commit_to_yield_ratio = 4;
  static constexpr std::chrono::microseconds yield_worth{50};

  void push(intent& i);
  void wait_for_others(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] std::vector<intent*> collect();
  /// Commits the group in front. Returns whether the caller goes on leading: when nobody waits, or `leader`,
  /// which is null where the caller waits for nothing, is the first who does.
  [[nodiscard]] bool lead_group(std::unique_lock<std::mutex>& lock, const intent* leader);
  void lead_all(std::unique_lock<std::mutex>& lock);
  /// Of the first who waits, if anybody does.
  [[nodiscard]] std::shared_ptr<intent::waiting_place> first_place() const;
  /// Leaves leading to who waits there.
  static void lead_on(intent::waiting_place& next);
  /// One that is larger than the bound fits when nothing else waits.
  [[nodiscard]] bool fits(std::size_t cost) const noexcept {
    return pending_bytes_ == 0 || pending_bytes_ + cost <= pending_bytes_max_;
  }

  commit_engine& engine_;
  const std::size_t pending_bytes_max_;
  const std::function<void()> leader_wanted_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable all_there_;
  bool led_ = false;            // somebody leads, or has been told to
  std::deque<intent*> queue_;   // owned where submitted
  std::vector<intent*> spare_;  // room for a group of all that wait
  std::size_t pending_bytes_ = 0;
  std::size_t expected_ = 1;  // how many were there at the end of the last commit
  std::chrono::steady_clock::duration last_commit_{};
};

}  // namespace levada
