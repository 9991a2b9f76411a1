#include "support/crew.hpp"

#include <utility>

namespace levada::bench {

crew::crew(std::size_t threads)
    : start_{static_cast<std::ptrdiff_t>(threads) + 1}, done_{static_cast<std::ptrdiff_t>(threads) + 1} {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i] { stand_by(i); });
  }
}

crew::~crew() {
  work_ = nullptr;
  start_.arrive_and_wait();
  for (std::thread& thread : threads_) thread.join();
}

void crew::run(const std::function<void(std::size_t)>& work) {
  work_ = &work;
  start_.arrive_and_wait();
  done_.arrive_and_wait();
  if (const std::exception_ptr failure = std::exchange(failure_, nullptr)) std::rethrow_exception(failure);
}

void crew::stand_by(std::size_t index) {
  for (;;) {
    start_.arrive_and_wait();
    if (work_ == nullptr) return;
    try {
      (*work_)(index);
    } catch (...) {
      const std::lock_guard lock{failure_mutex_};
      if (!failure_) failure_ = std::current_exception();
    }
    done_.arrive_and_wait();
  }
}

}  // namespace levada::bench
