#pragma once

#include "options.hpp"

namespace cache_sync {

/// Runs everything and returns the exit status. Throws `example::failure`, `levada::exception` or
/// `std::system_error`.
[[nodiscard]] int run_demo(const options& o);

}  // namespace cache_sync
