#include "statistics.hpp"

#include <algorithm>

namespace emergency {

std::chrono::seconds waiting_times::within(unsigned percent) const {
  auto times = times_;
  const auto rank = (times.size() * percent + 99) / 100;  // of those counted, rounded up: at least 1
  const auto nth = times.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::nth_element(times.begin(), nth, times.end());
  return *nth;
}

void statistics::add(const call& c) {
  ++total_.calls;
  ++by_category_[c.category].calls;
  ++by_area_[c.area].calls;
  ++by_hour_[hour_of_day(c.time)];
  first_ = std::min(first_, c.time);
  last_ = std::max(last_, c.time);
}

void statistics::add(const acceptance& a) {
  const auto wait = a.accepted - a.called;
  total_.waits.add(wait);
  by_category_[a.category].waits.add(wait);
  by_area_[a.area].waits.add(wait);
}

}  // namespace emergency
