#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>

namespace levada {

class core;

/// Has somebody look when the first of several times has come. Times are those of the bus, in microseconds
/// since 1970. Safe to share.
class alarm {
 public:
  /// Has `look` called by then, in the thread of errands, unless it is to be called before in any case. It
  /// must not wait, and calls `rang` first.
  void set(core& owner, std::int64_t due, const std::function<void()>& look);
  void rang() noexcept { next_ = never; }

 private:
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
  std::atomic<std::int64_t> next_{never};
};

}  // namespace levada
