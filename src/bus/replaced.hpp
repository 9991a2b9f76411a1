#pragma once

#include <atomic>
#include <deque>
#include <utility>

namespace levada {

/// A value that one thread replaces while others read it, without a lock. Earlier ones are kept to the end,
/// as somebody may still read them: for what is replaced rarely.
template <class T>
class replaced {
 public:
  explicit replaced(T first) { set(std::move(first)); }
  replaced(const replaced&) = delete;
  replaced& operator=(const replaced&) = delete;
  ~replaced() = default;

  [[nodiscard]] const T& get() const noexcept { return *now_.load(std::memory_order_acquire); }
  /// By one thread at a time.
  void set(T next) {
    all_.push_back(std::move(next));
    now_.store(&all_.back(), std::memory_order_release);
  }

 private:
  std::deque<T> all_;
  std::atomic<const T*> now_{nullptr};
};

}  // namespace levada
