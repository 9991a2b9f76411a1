#pragma once

/// @file
/// What the figures depend on besides the code.

#include <filesystem>
#include <string>
#include <string_view>

namespace levada::bench {

/// Version, compiler, build type, processor, load, kernel, and the directory's file system: two lines.
[[nodiscard]] std::string describe_machine(const std::filesystem::path& directory);

/// How long the disk takes to make 4 KiB durable, in microseconds.
struct flush_latency {
  double median = 0;
  double p90 = 0;
};
/// Appends 4 KiB and calls fdatasync, 200 times, on a file in `directory` that is removed afterwards.
[[nodiscard]] flush_latency measure_flush(const std::filesystem::path& directory);
/// That as a line; `when` tells when it was measured.
[[nodiscard]] std::string describe(const flush_latency& flush, std::string_view when);

}  // namespace levada::bench
