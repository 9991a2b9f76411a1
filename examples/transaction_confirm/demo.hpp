#pragma once

#include "options.hpp"

namespace transaction_confirm {

/// Tells the story on standard output, in real time, and what it has proved. Returns the exit status.
int run_demo(const options& o);

}  // namespace transaction_confirm
