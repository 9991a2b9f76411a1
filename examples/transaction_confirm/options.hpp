#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string_view>

namespace transaction_confirm {

/// What the program is asked to do.
struct options {
  bool help = false;
  /// Default: a temporary directory, removed at the end.
  std::optional<std::filesystem::path> directory;
  std::size_t transactions = 8;
  /// Between two checks.
  std::chrono::milliseconds wait{5'000};
};

/// Reads the command line. Throws `example::usage_error`.
[[nodiscard]] options parse_options(int argc, char** argv);

extern const std::string_view usage;

}  // namespace transaction_confirm
