#include "pace.hpp"

#include <algorithm>

#include <fmt/core.h>

#include <common/failure.hpp>
#include <common/text.hpp>

namespace emergency {
namespace {

constexpr double times_min = 0.001;
constexpr double times_max = 1e12;

}  // namespace

pace pace::parse(std::string_view text) {
  const auto times =
      example::parse_number<double>(text.ends_with('x') ? text.substr(0, text.size() - 1) : text);
  if (!times || !(*times >= times_min && *times <= times_max)) {
    throw example::failure{
        fmt::format("'{}' is not a speed: a number from {} to {} is expected, such as 3600x", text, times_min,
                    times_max)};
  }
  pace p;
  p.times_ = *times;
  return p;
}

std::chrono::nanoseconds pace::due(local_time called, local_time first) const {
  if (times_ == 0) return std::chrono::nanoseconds{0};
  // Far beyond the life of any run, and well inside of what nanoseconds can count.
  constexpr std::chrono::duration<double> longest = std::chrono::hours{24 * 365 * 100};
  const std::chrono::duration<double> passed{static_cast<double>((called - first).count()) / times_};
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::clamp(passed, std::chrono::duration<double>{0}, longest));
}

}  // namespace emergency
