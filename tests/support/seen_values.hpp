#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace levada::test {

/// What handlers have seen, to be waited for.
class seen_values {
 public:
  void add(std::string value) {
    const std::lock_guard guard{mutex_};
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return values_.size() >= count; });
    return values_;
  }
  std::vector<std::string> now() {
    const std::lock_guard guard{mutex_};
    return values_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> values_;
};

}  // namespace levada::test
