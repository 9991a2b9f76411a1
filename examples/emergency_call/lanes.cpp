#include "lanes.hpp"

#include <utility>

namespace emergency {

lanes::lanes(std::size_t count) {
  for (std::size_t n = 0; n < count; ++n) lanes_.push_back(std::make_unique<lane>());
  for (const auto& l : lanes_) workers_.push_back(std::make_unique<worker>([this, &l = *l] { serve(l); }));
}

lanes::~lanes() {
  const std::lock_guard lock{mutex_};
  closing_ = true;
  for (const auto& l : lanes_) l->changed.notify_one();
}

void lanes::give(const std::string& line_key, std::function<void()> job) {
  auto& l = *lanes_[std::hash<std::string>{}(line_key) % lanes_.size()];
  const std::lock_guard lock{mutex_};
  l.jobs.push_back(std::move(job));
  ++unfinished_;
  l.changed.notify_one();
}

void lanes::wait() {
  std::unique_lock lock{mutex_};
  idle_.wait(lock, [&] { return unfinished_ == 0; });
}

void lanes::serve(lane& l) {
  std::unique_lock lock{mutex_};
  for (;;) {
    l.changed.wait(lock, [&] { return closing_ || !l.jobs.empty(); });
    if (l.jobs.empty()) return;
    const auto job = std::move(l.jobs.front());
    l.jobs.pop_front();
    lock.unlock();
    job();
    lock.lock();
    if (--unfinished_ == 0) idle_.notify_all();
  }
}

}  // namespace emergency
