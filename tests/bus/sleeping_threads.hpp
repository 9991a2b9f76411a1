#pragma once

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace levada::test {

/// Threads of which a test can tell that they sleep: so that it goes on when they wait, and not some time
/// later. Joins them on destruction. Not safe to share.
class sleeping_threads {
 public:
  sleeping_threads() = default;
  sleeping_threads(const sleeping_threads&) = delete;
  sleeping_threads& operator=(const sleeping_threads&) = delete;
  ~sleeping_threads() { join(); }

  /// Runs `body` in a new thread and returns when it has begun.
  void start(std::function<void()> body) {
    all_.push_back(std::make_unique<entry>());
    entry& e = *all_.back();
    e.thread = std::thread{[&e, body = std::move(body)] {
      e.id = static_cast<long>(::syscall(SYS_gettid));
      body();
      e.ended = true;
    }};
    while (e.id == 0) std::this_thread::yield();
  }
  /// Returns when every thread has ended or sleeps. One that waits for a lock that another holds wakes up as
  /// soon as that one goes on: two looks in a row, in which nobody runs, rule it out.
  void wait_until_asleep() const {
    for (int looks = 0; looks < 2;) {
      bool quiet = true;
      for (const auto& e : all_) quiet = quiet && (e->ended || asleep(e->id));
      looks = quiet ? looks + 1 : 0;
      std::this_thread::yield();
    }
  }
  void join() {
    for (const auto& e : all_) {
      if (e->thread.joinable()) e->thread.join();
    }
  }

 private:
  struct entry {
    std::thread thread;
    std::atomic<long> id{0};
    std::atomic<bool> ended{false};
  };
  /// The state stands behind the name, which is in brackets and may hold anything.
  static bool asleep(long id) {
    std::ifstream in{fmt::format("/proc/self/task/{}/stat", id)};
    std::string line;
    std::getline(in, line);
    const auto bracket = line.rfind(')');
    return bracket != std::string::npos && line.size() > bracket + 2 && line[bracket + 2] == 'S';
  }

  std::vector<std::unique_ptr<entry>> all_;
};

}  // namespace levada::test
