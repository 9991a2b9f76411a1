#pragma once

/// @file
/// Who waits for something to happen to a log, a queue or a group.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <levada/clock.hpp>

namespace levada {

/// When a wait of `timeout` that begins now ends; without overflow.
[[nodiscard]] inline clock::steady_time deadline_after(const clock& time, std::chrono::milliseconds timeout) {
  const auto now = time.steady();
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(clock::steady_time::max() - now);
  return timeout >= left ? clock::steady_time::max() : now + timeout;
}

/// One waiting party. It reads `signals()`, looks whether there is something to do, and if not sleeps until
/// the count differs: so nothing that happens in between is missed. Safe to share.
class waiter {
 public:
  [[nodiscard]] std::uint64_t signals() const {
    const std::lock_guard guard{point_->mutex};
    return signals_;
  }
  void signal() {
    if (const auto call = note_signal()) call();
  }
  /// Has `what` called once, by whoever signals next. Where there was a signal after `seen` it is not called,
  /// and the answer is no. `what` must not wait; it takes the place of what has not been called yet.
  [[nodiscard]] bool call(std::uint64_t seen, std::function<void()> what) {
    const std::lock_guard guard{point_->mutex};
    if (signals_ != seen) return false;
    call_ = std::move(what);
    return true;
  }
  /// Whatever was to be called is not called any more, unless it is being called.
  void call_off() {
    std::function<void()> what;
    const std::lock_guard guard{point_->mutex};
    what.swap(call_);
  }
  /// Sleeps until a signal after `seen`, or the deadline. Returns whether there was a signal.
  bool wait(clock& time, std::uint64_t seen, clock::steady_time deadline) {
    std::unique_lock lock{point_->mutex};
    while (signals_ == seen && time.steady() < deadline) time.wait_until(point_, lock, deadline);
    return signals_ != seen;
  }

 private:
  friend class wake_list;
  /// Signals, but for the call, which is the caller's to make.
  [[nodiscard]] std::function<void()> note_signal() {
    const std::lock_guard guard{point_->mutex};
    ++signals_;
    point_->wakeup.notify_all();
    return std::exchange(call_, nullptr);
  }

  std::shared_ptr<wait_point> point_ = std::make_shared<wait_point>();
  std::uint64_t signals_ = 0;
  std::function<void()> call_;
};

/// The waiters of one thing. Safe to share.
class wake_list {
 public:
  void add(std::shared_ptr<waiter> w) {
    const std::lock_guard guard{mutex_};
    waiters_.push_back(std::move(w));
    count_.store(waiters_.size(), std::memory_order_release);
  }
  void remove(const std::shared_ptr<waiter>& w) {
    const std::lock_guard guard{mutex_};
    waiters_.erase(std::remove(waiters_.begin(), waiters_.end(), w), waiters_.end());
    count_.store(waiters_.size(), std::memory_order_release);
  }
  /// Wakes all; one load where nobody waits.
  void signal() {
    if (count_.load(std::memory_order_acquire) == 0) return;
    // Called, and destroyed, without the lock: who is called may take itself off the list.
    std::vector<std::function<void()>> calls;
    {
      const std::lock_guard guard{mutex_};
      for (const auto& w : waiters_) {
        if (auto call = w->note_signal()) calls.push_back(std::move(call));
      }
    }
    for (const auto& call : calls) call();
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<waiter>> waiters_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace levada
