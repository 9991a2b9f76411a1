#include "latencies.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace cache_sync {

std::chrono::nanoseconds latencies::within(double share) const {
  auto times = times_;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(times.size())));
  const auto nth = times.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(times.begin(), nth, times.end());
  return *nth;
}

}  // namespace cache_sync
