#include "sample.hpp"

#include <array>
#include <cmath>
#include <random>

#include <fmt/core.h>

namespace emergency {
namespace {

struct area {
  const char* name;
  double weight;
  double latitude;
  double longitude;
};

constexpr std::array areas{
    area{"OLD TOWN", 19, 52.5171, 13.4106},       area{"LINDEN PARK", 16, 52.5300, 13.3790},
    area{"HARBOUR SIDE", 13, 52.5030, 13.4690},   area{"MILLBROOK", 11, 52.4890, 13.3560},
    area{"NORTH RIDGE", 9, 52.5670, 13.4010},     area{"EASTGATE", 8, 52.5210, 13.5150},
    area{"CEDAR HEIGHTS", 7, 52.4610, 13.3290},   area{"WEST END", 6, 52.5090, 13.2740},
    area{"ASHFORD", 4, 52.5480, 13.3030},         area{"BIRCHWOOD", 3, 52.4450, 13.4320},
    area{"ST. MARY'S HILL", 2, 52.4720, 13.5010}, area{"LOWER FERRY", 2, 52.4980, 13.5580},
};

constexpr std::array streets{"MILL ROAD",     "GARDEN STREET", "STATION SQUARE", "CHURCH LANE", "LONG WALK",
                             "BRIDGE STREET", "ORCHARD WAY",   "CANAL STREET",   "MARKET ROW"};
constexpr std::size_t houses_per_area = 24;
constexpr unsigned floors = 6;
constexpr unsigned doors_per_floor = 3;

struct kind {
  emergency::category category;
  const char* type;
  double weight;
};

constexpr std::array kinds{
    kind{category::ems, "FALL VICTIM", 12},
    kind{category::ems, "RESPIRATORY EMERGENCY", 9},
    kind{category::ems, "CARDIAC EMERGENCY", 9},
    kind{category::ems, "MEDICAL ALERT ALARM", 7},
    kind{category::ems, "SUBJECT IN PAIN", 6},
    kind{category::ems, "UNCONSCIOUS SUBJECT", 4},
    kind{category::ems, "ALLERGIC REACTION", 2},
    kind{category::ems, "MATERNITY", 1},
    kind{category::fire, "FIRE ALARM", 12},
    kind{category::fire, "GAS-ODOR/LEAK", 5},
    kind{category::fire, "CARBON MONOXIDE DETECTOR", 3},
    kind{category::fire, "APPLIANCE FIRE", 3},
    kind{category::fire, "ELEVATOR EMERGENCY", 3},
    kind{category::fire, "BUILDING FIRE", 1},
    kind{category::traffic, "VEHICLE ACCIDENT -", 12},
    kind{category::traffic, "DISABLED VEHICLE -", 7},
    kind{category::traffic, "ROAD OBSTRUCTION -", 4},
};

/// Calls an hour, by hour of the day.
constexpr std::array calls_per_hour{4.6,  4.0,  3.7,  3.5,  3.8,  4.5,  6.2,  8.6, 9.6, 9.5, 9.7, 10.2,
                                    10.6, 10.5, 10.8, 11.7, 12.3, 12.5, 11.2, 9.5, 8.2, 7.3, 6.3, 5.4};

template <class Table>
auto chooser(const Table& table) {
  std::vector<double> weights;
  weights.reserve(std::size(table));
  for (const auto& row : table) weights.push_back(row.weight);
  return std::discrete_distribution<std::size_t>(weights.begin(), weights.end());
}

/// Some houses call far more often than others.
auto house_chooser() {
  std::vector<double> weights;
  for (std::size_t n = 0; n < houses_per_area; ++n) weights.push_back(1.0 / static_cast<double>(n + 2));
  return std::discrete_distribution<std::size_t>(weights.begin(), weights.end());
}

double rounded(double degrees) {
  return std::round(degrees * 1e7) / 1e7;
}

}  // namespace

std::vector<call> make_sample(std::size_t calls, std::uint64_t seed) {
  using namespace std::chrono_literals;
  std::mt19937_64 random{seed};
  auto choose_area = chooser(areas);
  auto choose_kind = chooser(kinds);
  auto choose_house = house_chooser();
  std::uniform_int_distribution<unsigned> choose_floor{1, floors};
  std::uniform_int_distribution<unsigned> choose_door{0, doors_per_floor - 1};
  std::normal_distribution<double> spread{0, 0.006};
  std::exponential_distribution<double> waiting{1};

  std::vector<call> sample;
  sample.reserve(calls);
  std::chrono::duration<double, std::ratio<3600>> clock{0};
  const local_time start = std::chrono::local_days{std::chrono::year{2024} / 3 / 1};
  while (sample.size() < calls) {
    const auto now = start + std::chrono::duration_cast<std::chrono::seconds>(clock);
    clock += decltype(clock){waiting(random) / calls_per_hour[hour_of_day(now)]};
    const auto& where = areas[choose_area(random)];
    const auto& what = kinds[choose_kind(random)];
    const auto house = choose_house(random);
    std::string address = fmt::format("{} {}", streets[house % streets.size()], 2 * house + 1);
    if (what.category != category::traffic) {
      address += fmt::format(" APT {}{}", choose_floor(random), "ABC"[choose_door(random)]);
    }
    sample.push_back({sample.size() + 1, rounded(where.latitude + spread(random)),
                      rounded(where.longitude + spread(random)), what.category, what.type,
                      std::chrono::floor<std::chrono::minutes>(now), where.name, std::move(address)});
  }
  return sample;
}

}  // namespace emergency
