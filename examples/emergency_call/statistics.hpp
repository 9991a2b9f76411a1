#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "acceptance.hpp"
#include "call.hpp"

namespace emergency {

/// Times from call to acceptance.
class waiting_times {
 public:
  void add(std::chrono::seconds t) { times_.push_back(t); }

  [[nodiscard]] std::size_t count() const { return times_.size(); }
  /// The shortest time within which `percent` (1 to 100) of the calls were accepted. Precondition: not empty.
  [[nodiscard]] std::chrono::seconds within(unsigned percent) const;

 private:
  std::vector<std::chrono::seconds> times_;
};

/// Counts calls and acceptances.
class statistics {
 public:
  struct tally {
    std::uint64_t calls = 0;
    waiting_times waits;
  };

  void add(const call& c);
  void add(const acceptance& a);

  [[nodiscard]] const tally& total() const { return total_; }
  [[nodiscard]] const std::map<category, tally>& by_category() const { return by_category_; }
  [[nodiscard]] const std::map<std::string, tally>& by_area() const { return by_area_; }
  /// Calls of each hour of the day.
  [[nodiscard]] const std::array<std::uint64_t, 24>& by_hour() const { return by_hour_; }
  /// Times of the earliest and latest call. Meaningless without calls.
  [[nodiscard]] local_time first() const { return first_; }
  [[nodiscard]] local_time last() const { return last_; }

 private:
  tally total_;
  std::map<category, tally> by_category_;
  std::map<std::string, tally> by_area_;
  std::array<std::uint64_t, 24> by_hour_{};
  local_time first_ = local_time::max();
  local_time last_ = local_time::min();
};

}  // namespace emergency
