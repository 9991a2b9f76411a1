#pragma once

/// @file
/// The thread that does what nobody waits for: it lets submitted intents in when there is room, leads them,
/// and rings when a time has come.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "bus/group_commit.hpp"
#include "bus/worker.hpp"

#include <levada/clock.hpp>
#include <levada/error.hpp>

namespace levada {

/// Safe to share. Its thread exists from the first `submit` or `ring` on.
class courier {
 public:
  struct room {
    /// Whether an intent of some cost would have to wait before it can be queued.
    std::function<bool()> is_short;
    /// Waits for it, or says why there will be none.
    std::function<result<void>()> wait;
  };
  courier(clock& time, group_commit& commits, room journal);

  /// As a worker's. What has not been let in by then is told `why`.
  void stop(const error& why);
  void abandon() noexcept { worker_.abandon(); }

  /// Has an intent committed some time; it is told the outcome. `operation` stands before the message of a
  /// failure.
  void submit(std::string operation, std::unique_ptr<intent> i,
              group_commit::led_by who = group_commit::led_by::any);
  /// Has what `group_commit` was submitted led.
  void lead() noexcept { worker_.wake(); }
  /// Returns when everything submitted before has been let in: what comes then, comes behind it.
  void wait_until_let_in();

  /// When, and which of those.
  using bell = std::pair<clock::steady_time, std::uint64_t>;
  /// Calls `what` once, in its thread, when `when` has come by the clock of the bus; never once it is
  /// stopped. `what` must not wait.
  [[nodiscard]] bell ring(clock::steady_time when, std::function<void()> what);
  /// Afterwards it is not called any more, unless it is being called.
  void silence(const bell& which);

 private:
  struct submission {
    std::string operation;
    std::unique_ptr<intent> what;
  };
  [[nodiscard]] clock::steady_time due();
  void serve();
  void let_in();
  void ring_due();

  clock& time_;
  group_commit& commits_;
  const room journal_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable let_in_;
  std::deque<submission> outside_;
  std::atomic<bool> keeps_back_{false};  // whether there are any, for a look without the lock
  std::map<bell, std::function<void()>> bells_;
  std::uint64_t last_bell_ = 0;
  bool stopped_ = false;
  error why_stopped_;

  worker worker_;
};

}  // namespace levada
