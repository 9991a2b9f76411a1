#include "changes.hpp"

#include <cstdint>

#include <fmt/core.h>

namespace cache_sync {

std::pair<organisation_id, details> change_source::next() {
  const auto n = made_++;
  const organisation_id id = 1 + n % organisations_;
  const auto round = n / organisations_;
  const auto seats = static_cast<std::uint32_t>(5 + (id + 7 * round) % 100);
  const bool active = (id + round) % 9 != 0;
  return {id, details{fmt::format("Organisation {}", id), seats, active}};
}

}  // namespace cache_sync
