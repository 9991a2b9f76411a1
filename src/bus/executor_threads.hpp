#pragma once

/// @file
/// Threads of the bus's own that run what is posted to them.

#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

namespace levada {

/// Safe to share. Its threads exist from the first `executor` or `post` on.
class executor_threads {
 public:
  explicit executor_threads(std::size_t count = 1);
  executor_threads(const executor_threads&) = delete;
  executor_threads& operator=(const executor_threads&) = delete;
  /// Ends them.
  ~executor_threads();

  /// Where to post; once they have ended, the system's executor. Throws `std::system_error` where there can
  /// be no thread.
  [[nodiscard]] boost::asio::any_io_executor executor();
  /// Posts, but not once they have ended: then it returns no, and `what` is as before.
  template <class Function>
  [[nodiscard]] bool post(Function&& what) {
    const std::lock_guard guard{mutex_};
    if (ended_) return false;
    boost::asio::post(started(), std::forward<Function>(what));
    return true;
  }
  /// Whether the calling thread is one of them.
  [[nodiscard]] bool inside() const noexcept;
  /// Lets everything run that has been posted by now, ends the threads, and gives up the rest. Called by one
  /// of them, it does not wait for its end. Idempotent.
  void end() noexcept;
  /// Lets everything run that has been posted, and whoever is posting return, and ends the threads: for who
  /// knows that nothing else will be posted. Otherwise as `end`.
  void finish() noexcept;
  /// In a forked child, where the threads do not exist.
  void abandon() noexcept;

 private:
  struct state;
  [[nodiscard]] boost::asio::any_io_executor started();  // mutex_ is held
  enum class leftovers : bool { give_up, run };
  void end(leftovers what) noexcept;
  const std::size_t count_;
  const std::shared_ptr<state> state_;  // the threads' too: one may outlive this
  mutable std::mutex mutex_;            // guards the rest
  std::vector<std::thread> threads_;
  bool ended_ = false;
};

}  // namespace levada
