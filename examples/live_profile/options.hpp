#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string_view>

namespace live_profile {

/// What the program is asked to do.
struct options {
  bool help = false;
  /// Default: a temporary directory, removed at the end.
  std::optional<std::filesystem::path> directory;
  /// Viewers beside the slow one.
  std::size_t viewers = 8;
  /// Changes that the slow viewer does not take.
  std::size_t changes = 40;
};

/// Reads the command line. Throws `example::usage_error`.
[[nodiscard]] options parse_options(int argc, char** argv);

extern const std::string_view usage;

}  // namespace live_profile
