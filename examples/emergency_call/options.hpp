#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "pace.hpp"

namespace emergency {

/// What the program is asked to do.
struct options {
  enum class job {
    /// Everything: run the host, kill it, start it again, prove.
    demo,
    /// Be the host.
    host,
    /// Prove again what a run has left.
    prove,
    help,
  };
  job what = job::demo;
  /// Default: a temporary directory, removed at the end.
  std::optional<std::filesystem::path> directory;
  /// Default: make the calls up.
  std::optional<std::filesystem::path> input;
  /// Default: all of the input, or 2,000 made up.
  std::optional<std::size_t> calls;
  std::uint64_t seed = 1;
  emergency::pace pace;
  std::size_t kills = 3;
  /// Default: half of the time that the calls span.
  std::optional<std::chrono::days> report_period;
};

/// Reads the command line. Throws `example::usage_error`.
[[nodiscard]] options parse_options(int argc, char** argv);

extern const std::string_view usage;

}  // namespace emergency
