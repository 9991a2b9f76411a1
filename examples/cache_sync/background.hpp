#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <stop_token>
#include <utility>

#include <levada/error.hpp>

namespace cache_sync {

/// Something that goes on in a thread of its own until it is told to stop. Destroying it stops it and waits.
class background {
 public:
  using activity = std::function<levada::result<void>(const std::stop_token&)>;

  explicit background(activity a)
      : end_{std::async(std::launch::async,
                        [a = std::move(a), stop = stop_.get_token()] { return a(stop); })} {}
  ~background() { stop_.request_stop(); }  // the future waits
  background(const background&) = delete;
  background& operator=(const background&) = delete;

  /// Whether it has ended by itself.
  [[nodiscard]] bool done() const {
    return end_.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
  }
  /// Tells it to stop, and waits. Returns how it ended, or throws what it threw. To be called once.
  [[nodiscard]] levada::result<void> stop() {
    stop_.request_stop();
    return end_.get();
  }

 private:
  std::stop_source stop_;
  std::future<levada::result<void>> end_;
};

}  // namespace cache_sync
