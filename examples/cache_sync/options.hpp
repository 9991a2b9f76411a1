#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string_view>

namespace cache_sync {

/// What the program is asked to do.
struct options {
  bool help = false;
  /// Default: a temporary directory, removed at the end.
  std::optional<std::filesystem::path> directory;
  std::size_t organisations = 25;
  /// In each phase.
  std::size_t changes = 60;
  /// By each side under each condition of the comparison, but for no longer than a second.
  std::size_t measured = 200;
  std::chrono::milliseconds slow{2};
  std::chrono::milliseconds timeout{20};
};

/// Reads the command line. Throws `example::usage_error`.
[[nodiscard]] options parse_options(int argc, char** argv);

extern const std::string_view usage;

}  // namespace cache_sync
