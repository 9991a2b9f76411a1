#include "acceptance.hpp"

#include <cmath>
#include <utility>

namespace emergency {
namespace {

struct habit {
  double at_least_seconds;
  double mean_beyond_seconds;
};

habit habit_for(category c) {
  switch (c) {
    case category::ems:
      return {12, 22};
    case category::fire:
      return {15, 30};
    case category::traffic:
      return {25, 80};
  }
  return {};
}

/// Evenly spread over (0, 1], and fixed for the number (the finalizer of SplitMix64).
double even_chance(std::uint64_t n) {
  n += 0x9e3779b97f4a7c15;
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
  n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
  n ^= n >> 31;
  return static_cast<double>((n >> 11) + 1) / static_cast<double>(std::uint64_t{1} << 53);
}

}  // namespace

std::chrono::seconds reaction_time(const call& c) {
  const auto habit = habit_for(c.category);
  const double night = hour_of_day(c.time) < 6 ? 1.5 : 1.0;
  const double seconds = habit.at_least_seconds - habit.mean_beyond_seconds * std::log(even_chance(c.id));
  return std::chrono::seconds{static_cast<std::int64_t>(seconds * night)};
}

acceptance accept(const call& c, std::string by) {
  return {c.id, c.category, c.area, c.line().key(), c.time, c.time + reaction_time(c), std::move(by)};
}

}  // namespace emergency
