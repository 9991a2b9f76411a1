#pragma once

/// @file
/// Group commit: many threads' intents in one transaction, led by whoever came first (after LevelDB's writer
/// queue).

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include <levada/error.hpp>

namespace levada {

class commit_scope;

/// Something that shall happen to the store, all of it or nothing. Made and waited for by one thread;
/// executed by the leading thread while the maker waits.
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

  /// Changes of the catalogue run alone, so that no other intent of the group needs to see them half-done.
  [[nodiscard]] virtual bool alone() const noexcept { return false; }

 private:
  friend class group_commit;
  friend class commit_engine;

  const std::size_t cost_;  // bytes that count against the bound
  bool done_ = false;
  result<void> outcome_;
  std::condition_variable wakeup_;
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

/// The queue of intents. Safe to share.
class group_commit {
 public:
  /// `pending_bytes_max` bounds the cost of the intents that wait.
  group_commit(commit_engine& engine, std::size_t pending_bytes_max) noexcept
      : engine_{engine}, pending_bytes_max_{pending_bytes_max} {}

  /// Waits for room (an intent without cost does not), then until the intent is durable or refused. The
  /// calling thread may have to lead. Intents of one thread keep their order.
  [[nodiscard]] result<void> run(intent& i);

 private:
  /// One transaction takes no more than this, so that followers do not wait for ever for one fsync.
  static constexpr std::size_t group_bytes_max = std::size_t{16} << 20;

  [[nodiscard]] std::vector<intent*> collect();

  commit_engine& engine_;
  const std::size_t pending_bytes_max_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<intent*> queue_;   // its front leads
  std::vector<intent*> spare_;  // room for a group of all that wait
  std::size_t pending_bytes_ = 0;
};

}  // namespace levada
