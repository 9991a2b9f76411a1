#pragma once

#include <cstddef>
#include <utility>

#include "organisation_service.hpp"

namespace cache_sync {

/// Makes up changes: goes round the organisations, and each time they have other seats.
class change_source {
 public:
  /// Of organisations 1 to `organisations`.
  explicit change_source(std::size_t organisations) : organisations_{organisations} {}

  [[nodiscard]] std::pair<organisation_id, details> next();

 private:
  const std::size_t organisations_;
  std::size_t made_ = 0;
};

}  // namespace cache_sync
