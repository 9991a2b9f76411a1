#pragma once

#include "options.hpp"

namespace live_profile {

/// Runs everything and returns the exit status. Throws `example::failure`, `levada::exception` or
/// `std::system_error`.
[[nodiscard]] int run_demo(const options& o);

}  // namespace live_profile
