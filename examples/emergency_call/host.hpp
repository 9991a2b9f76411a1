#pragma once

#include <chrono>
#include <filesystem>

namespace emergency {

struct host_options {
  std::filesystem::path directory;
  /// How often the analyst's job runs, by the calls' own clock. Default: never.
  std::chrono::days analyst_period{0};
};

/// The application: a bus, the operators who publish the calls, the notifier, its subscribers, and the
/// analyst on schedule. Calls come in on standard input, as events; what happens is told on standard output,
/// as events too. Returns when the input has ended and everything is done. Throws `failure` or
/// `levada::exception`.
void run_host(const host_options& options);

}  // namespace emergency
