#pragma once

#include <functional>
#include <thread>

namespace emergency {

/// A thread of the host. What it throws ends the process at once with a line on standard error and exit code
/// 1: a host that goes on without its notifier or a subscriber would only look alive, and the store needs no
/// orderly end. Joined on destruction.
class worker {
 public:
  explicit worker(std::function<void()> work);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  /// Waits for its end. Idempotent.
  void join();

 private:
  std::thread thread_;
};

}  // namespace emergency
