#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "call.hpp"

namespace emergency {

/// A made-up but lifelike stream of calls from the apartments of one city: busy and quiet hours, large and
/// small areas, houses that call again and again. In order of time, from one call in a quarter of an hour at
/// night to a dozen an hour in the afternoon. The same numbers give the same calls.
[[nodiscard]] std::vector<call> make_sample(std::size_t calls, std::uint64_t seed);

}  // namespace emergency
