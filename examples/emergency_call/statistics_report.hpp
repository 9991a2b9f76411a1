#pragma once

#include <string>
#include <vector>

#include "statistics.hpp"

namespace emergency {

/// The statistics as tables and bar charts, at most 90 columns wide: per category, per area, per hour of the
/// day, and the time from call to acceptance. A line each.
[[nodiscard]] std::vector<std::string> render(const statistics& s);

}  // namespace emergency
