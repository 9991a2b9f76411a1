#pragma once

/// @file
/// A thread of the bus's own that runs what is posted to it.

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

namespace levada {

/// Safe to share. Its thread exists from the first `executor` on.
class executor_thread {
 public:
  executor_thread();
  executor_thread(const executor_thread&) = delete;
  executor_thread& operator=(const executor_thread&) = delete;
  /// Ends it.
  ~executor_thread();

  /// Where to post; once it has ended, the system's executor. Throws `std::system_error` where there can be
  /// no thread.
  [[nodiscard]] boost::asio::any_io_executor executor();
  /// Posts, but not once it has ended: then it returns no, and `what` is as before.
  template <class Function>
  [[nodiscard]] bool post(Function&& what) {
    const std::lock_guard guard{mutex_};
    if (ended_) return false;
    boost::asio::post(started(), std::forward<Function>(what));
    return true;
  }
  /// Whether the calling thread is it.
  [[nodiscard]] bool inside() const noexcept;
  /// Lets everything run that has been posted by now, ends the thread, and gives up the rest. Called by that
  /// thread itself, it does not wait for its end. Idempotent.
  void end() noexcept;
  /// In a forked child, where the thread does not exist.
  void abandon() noexcept;

 private:
  struct state;
  [[nodiscard]] boost::asio::any_io_executor started();  // mutex_ is held
  const std::shared_ptr<state> state_;                   // the thread's too: it may outlive this
  std::mutex mutex_;                                     // guards the next two
  std::thread thread_;
  bool ended_ = false;
  std::atomic<std::thread::id> id_{};
};

}  // namespace levada
