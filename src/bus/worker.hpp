#pragma once

/// @file
/// A thread of the bus's own that does one task again and again.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "bus/wake_list.hpp"

#include <levada/error.hpp>

namespace levada {

/// Safe to share. Its thread exists from the first `start` on.
class worker {
 public:
  struct task {
    /// What it is called in messages.
    std::string name;
    /// When to run next, though nobody asks; looked at again whenever the worker is woken.
    std::function<clock::steady_time()> due;
    std::function<result<void>()> run;
    /// Told of runs that failed; may be empty.
    std::function<void(const error&)> failed;
    /// How long to leave it alone after a failure, unless it is woken.
    std::chrono::milliseconds retry;
  };

  worker(clock& time, task what) : time_{time}, task_{std::move(what)} {}
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;
  ~worker();

  /// Has the thread from now on, unless it was stopped. Where there can be none, who waits for a run is told.
  /// Returns whether there is one.
  bool start() noexcept;
  /// Has `due` looked at again; a worker that has not been started stays so.
  void wake() noexcept { wanted_->signal(); }
  /// Asks for a run, due or not: one that begins from now on.
  void ask() noexcept {
    asked_ = true;
    wake();
  }
  /// Ends the thread, if there is one, waits for it, and wakes who waits for a run. It does not start again.
  void stop();
  [[nodiscard]] bool stopping() const noexcept { return stopping_; }
  /// Sleeps so long by the system's clock, whatever the bus's is, or until it is stopped, or `enough()`,
  /// which is looked at whenever it is woken: for what has to do with the disk, not with records.
  void pause(std::chrono::nanoseconds length, const std::function<bool()>& enough);
  /// For a run that goes on: who waits for it looks whether what it has done is enough.
  void tell_waiters();
  /// In a forked child, where the thread does not exist, and may have left any lock held.
  void abandon() noexcept;

  /// Starts it, asks for a run, and waits until one has ended, or until `enough()`, which is looked at when
  /// waiters are told. Fails with what the run failed with, or `closed`.
  [[nodiscard]] result<void> wait_for_run(const std::function<bool()>& enough);

 private:
  void serve();
  void note(result<void> outcome);

  clock& time_;
  const task task_;
  bool abandoned_ = false;
  std::atomic<bool> stopping_{false};  // changed under `mutex_`
  std::atomic<bool> asked_{false};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::unique_ptr<std::thread> thread_;
  std::uint64_t runs_ = 0;  // that have ended
  result<void> outcome_;    // of the last

  const std::shared_ptr<waiter> wanted_ = std::make_shared<waiter>();
};

}  // namespace levada
