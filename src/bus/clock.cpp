#include <levada/clock.hpp>

#include <algorithm>

namespace levada {
namespace {

class system_clock_source final : public clock {
 public:
  [[nodiscard]] timestamp wall() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  }
  [[nodiscard]] steady_time steady() const override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }
  void wait_until(const std::shared_ptr<wait_point>& point, std::unique_lock<std::mutex>& lock,
                  steady_time deadline) override {
    if (deadline == steady_time::max()) {
      point->wakeup.wait(lock);
    } else {
      point->wakeup.wait_until(
          lock, std::chrono::steady_clock::time_point{
                    std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline)});
    }
  }
};

}  // namespace

clock::~clock() = default;

std::shared_ptr<clock> clock::system() {
  return std::make_shared<system_clock_source>();
}

manual_clock::manual_clock(timestamp now) : wall_{now} {}
manual_clock::~manual_clock() = default;

timestamp manual_clock::wall() const {
  const std::lock_guard guard{mutex_};
  return wall_;
}

clock::steady_time manual_clock::steady() const {
  const std::lock_guard guard{mutex_};
  return steady_;
}

void manual_clock::wait_until(const std::shared_ptr<wait_point>& point, std::unique_lock<std::mutex>& lock,
                              steady_time deadline) {
  {
    const std::lock_guard guard{mutex_};
    if (steady_ >= deadline) return;
    waiters_.push_back(point);
    waiters_changed_.notify_all();
  }
  // `advance` changes the time before it locks the point, so it cannot slip in between the check and the
  // wait.
  point->wakeup.wait(lock);
  const std::lock_guard guard{mutex_};
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), point));
}

void manual_clock::advance(std::chrono::microseconds by) {
  std::vector<std::shared_ptr<wait_point>> to_wake;
  {
    const std::lock_guard guard{mutex_};
    wall_ += by;
    steady_ += by;
    to_wake = waiters_;
  }
  for (const auto& point : to_wake) {
    const std::lock_guard guard{point->mutex};
    point->wakeup.notify_all();
  }
}

void manual_clock::set_wall(timestamp now) {
  const std::lock_guard guard{mutex_};
  wall_ = now;
}

void manual_clock::wait_for_waiters(std::size_t n) {
  std::unique_lock lock{mutex_};
  waiters_changed_.wait(lock, [&] { return waiters_.size() >= n; });
}

}  // namespace levada
