#pragma once

#include <chrono>
#include <string_view>

#include "local_time.hpp"

namespace emergency {

/// How fast the calls' own clock runs.
class pace {
 public:
  /// As fast as it goes: every call is due at once.
  pace() = default;
  /// Reads `3600x` or `3600`: that many seconds of the calls' clock pass in one second. Throws `failure`.
  [[nodiscard]] static pace parse(std::string_view text);

  /// How long after the first call a call is due. Never negative: one that is out of order is due at once.
  [[nodiscard]] std::chrono::nanoseconds due(local_time called, local_time first) const;

 private:
  double times_ = 0;  // 0: as fast as it goes
};

}  // namespace emergency
