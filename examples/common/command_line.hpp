#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include <getopt.h>

namespace example {

/// Reads a command line of long options alone. `known` ends with an option without a name; `apply` is told
/// of each option by its letter, and returns false to leave the rest unread. Throws `usage_error`.
void read_options(int argc, char** argv, const ::option* known,
                  const std::function<bool(int letter, std::string_view value)>& apply);

/// What an option's value may be.
struct bounds {
  std::uint64_t least = 0;
  std::uint64_t most = UINT64_MAX;
};

/// The value of an option as a number. Throws `usage_error`.
[[nodiscard]] std::uint64_t parse_count(std::string_view name, std::string_view text, bounds within);

/// The value of an option as a path. Throws `usage_error` for an empty one.
[[nodiscard]] std::filesystem::path parse_path(std::string_view name, std::string_view text);

}  // namespace example
