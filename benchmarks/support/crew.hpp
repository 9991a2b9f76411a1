#pragma once

#include <barrier>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace levada::bench {

/// Threads that stand ready, so that a measurement holds their work and not their making. Used from one
/// thread.
class crew {
 public:
  explicit crew(std::size_t threads);
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;
  ~crew();

  /// Runs `work(i)` on thread i, on all at once, and returns when all are done. Rethrows the first exception.
  void run(const std::function<void(std::size_t)>& work);

 private:
  void stand_by(std::size_t index);

  const std::function<void(std::size_t)>* work_ = nullptr;  // nullptr: go home
  std::barrier<> start_;
  std::barrier<> done_;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace levada::bench
