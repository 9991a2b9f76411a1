#pragma once

#include <string>

#include "call.hpp"

namespace emergency {

/// A desk has taken care of a call.
struct acceptance {
  call_id call = 0;
  emergency::category category{};
  std::string area;
  /// The key of the caller's line.
  std::string line;
  local_time called;
  local_time accepted;
  /// Who did.
  std::string by;
};

/// How long the desk took. There are no people in this program, so it is made up, and always the same for the
/// same call: a medical call is accepted soonest, and everything takes longer at night.
[[nodiscard]] std::chrono::seconds reaction_time(const call& c);

/// The acceptance of a call, after its reaction time.
[[nodiscard]] acceptance accept(const call& c, std::string by);

}  // namespace emergency
