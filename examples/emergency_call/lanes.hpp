#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "worker.hpp"

namespace emergency {

/// Threads that share work by line: what concerns one line is done by one thread, in the order in which it
/// was given. Working side by side also lets what they publish share commits. `give` and `wait` are for one
/// thread.
class lanes {
 public:
  explicit lanes(std::size_t count);
  /// Does what is left.
  ~lanes();
  lanes(const lanes&) = delete;
  lanes& operator=(const lanes&) = delete;

  void give(const std::string& line_key, std::function<void()> job);
  /// Returns when everything given is done.
  void wait();

 private:
  struct lane {
    std::deque<std::function<void()>> jobs;
    std::condition_variable changed;
  };
  void serve(lane& l);

  std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t unfinished_ = 0;
  bool closing_ = false;
  std::vector<std::unique_ptr<lane>> lanes_;
  std::vector<std::unique_ptr<worker>> workers_;  // last: use all the others
};

}  // namespace emergency
