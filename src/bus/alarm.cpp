#include "bus/alarm.hpp"

#include <algorithm>
#include <chrono>

#include "bus/core.hpp"

namespace levada {

void alarm::set(core& owner, std::int64_t due, const std::function<void()>& look) {
  for (std::int64_t known = next_; due < known;) {
    if (!next_.compare_exchange_weak(known, due)) continue;
    const auto from_now = std::chrono::microseconds{std::max<std::int64_t>(due - owner.bus_time(), 0)};
    static_cast<void>(owner.errands().ring(owner.time().steady() + from_now, look));
    return;
  }
}

}  // namespace levada
