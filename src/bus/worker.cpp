#include "bus/worker.hpp"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <utility>

namespace levada {

worker::~worker() {
  if (!abandoned_) stop();
}

bool worker::start() noexcept {
  const std::lock_guard guard{mutex_};
  if (stopping_ || thread_) return thread_ != nullptr;
  try {
    thread_ = std::make_unique<std::thread>([this] { serve(); });
  } catch (const std::exception& e) {
    outcome_ = error{errc::out_of_resources, fmt::format("{}: no thread: {}", task_.name, e.what())};
    ++runs_;
    changed_.notify_all();
  }
  return thread_ != nullptr;
}

void worker::serve() {
  while (!stopping_) {
    const std::uint64_t seen = wanted_->signals();
    const auto due = task_.due();
    if (!asked_.exchange(false) && time_.steady() < due) {
      // Stopping is noted before the signal, so it is not missed between the two.
      if (!stopping_) wanted_->wait(time_, seen, due);
      continue;
    }
    auto outcome = [this]() -> result<void> {
      try {
        return task_.run();
      } catch (const std::bad_alloc&) {
        return error{errc::out_of_resources, fmt::format("{}: out of memory", task_.name)};
      } catch (const std::exception& e) {
        return error{errc::io_error, fmt::format("{}: {}", task_.name, e.what())};
      }
    }();
    const bool failed = !outcome;
    if (failed && task_.failed) task_.failed(outcome.error());
    note(std::move(outcome));
    if (failed && !stopping_) wanted_->wait(time_, seen, time_.steady() + task_.retry);
  }
}

void worker::note(result<void> outcome) {
  const std::lock_guard guard{mutex_};
  outcome_ = std::move(outcome);
  ++runs_;
  changed_.notify_all();
}

result<void> worker::wait_for_run(const std::function<bool()>& enough) {
  std::uint64_t seen = 0;
  {
    const std::lock_guard guard{mutex_};
    seen = runs_;
  }
  start();
  ask();
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return runs_ != seen || stopping_ || enough(); });
  if (stopping_) return error{errc::closed, "the bus is being closed"};
  if (runs_ != seen && !outcome_) return outcome_;
  return {};
}

void worker::pause(std::chrono::nanoseconds length, const std::function<bool()>& enough) {
  const auto system = clock::system();
  const auto end = system->steady() + length;
  for (;;) {
    const std::uint64_t seen = wanted_->signals();
    if (stopping_ || enough() || !wanted_->wait(*system, seen, end)) return;
  }
}

void worker::tell_waiters() {
  const std::lock_guard guard{mutex_};
  changed_.notify_all();
}

void worker::stop() {
  std::unique_ptr<std::thread> thread;
  {
    const std::lock_guard guard{mutex_};
    stopping_ = true;
    thread = std::move(thread_);
    changed_.notify_all();
  }
  wake();
  if (thread) thread->join();
}

void worker::abandon() noexcept {
  abandoned_ = true;
  // Joining or detaching a thread that is not there is undefined: given up on purpose.
  static_cast<void>(thread_.release());  // NOLINT
}

}  // namespace levada
