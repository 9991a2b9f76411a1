#pragma once

#include "options.hpp"

namespace emergency {

/// Runs the whole: a host as a child process, callers, kills, and the proof in the end. Returns the exit
/// status. Throws `failure`, `levada::exception` or `host_failed`.
int run_demo(const options& o);

/// Proves again what a run has left in its directory. Returns the exit status.
int prove_again(const options& o);

}  // namespace emergency
