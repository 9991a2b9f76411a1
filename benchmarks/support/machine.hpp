#pragma once

/// @file
/// What the figures depend on besides the code.

#include <filesystem>
#include <string>

namespace levada::bench {

/// Processor, load, kernel, compiler, build type, versions, durability, file system: some lines.
[[nodiscard]] std::string describe_machine(const std::filesystem::path& directory);

/// How long the disk takes to make 4 KiB durable, in microseconds.
struct flush_latency {
  double median = 0;
  double p90 = 0;
};
/// Appends 4 KiB and calls fdatasync, 200 times, on a file in `directory` that is removed afterwards.
[[nodiscard]] flush_latency measure_flush(const std::filesystem::path& directory);

}  // namespace levada::bench
