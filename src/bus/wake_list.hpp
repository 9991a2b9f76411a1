#pragma once

/// @file
/// Who waits for something to happen to a log, a queue or a group.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
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
    const std::lock_guard guard{point_->mutex};
    ++signals_;
    point_->wakeup.notify_all();
  }
  /// Sleeps until a signal after `seen`, or the deadline. Returns whether there was a signal.
  bool wait(clock& time, std::uint64_t seen, clock::steady_time deadline) {
    std::unique_lock lock{point_->mutex};
    while (signals_ == seen && time.steady() < deadline) time.wait_until(point_, lock, deadline);
    return signals_ != seen;
  }

 private:
  std::shared_ptr<wait_point> point_ = std::make_shared<wait_point>();
  std::uint64_t signals_ = 0;
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
    const std::lock_guard guard{mutex_};
    for (const auto& w : waiters_) w->signal();
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<waiter>> waiters_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace levada
