#include "command_line.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "failure.hpp"
#include "text.hpp"

namespace example {

void read_options(int argc, char** argv, const ::option* known,
                  const std::function<bool(int letter, std::string_view value)>& apply) {
  ::optind = 0;  // anew, also when it was used before
  ::opterr = 0;
  // A leading colon tells a missing value from an unknown option.
  for (;;) {
    const int at = std::max(::optind, 1);
    const int letter = ::getopt_long(argc, argv, "+:", known, nullptr);
    if (letter == -1) break;
    if (letter == '?') throw usage_error{fmt::format("'{}' is not an option", argv[at])};
    if (letter == ':') throw usage_error{fmt::format("{}: a value is missing", argv[at])};
    if (!apply(letter, ::optarg != nullptr ? ::optarg : "")) return;
  }
  if (::optind < argc) throw usage_error{fmt::format("'{}' is not an option", argv[::optind])};
}

std::uint64_t parse_count(std::string_view name, std::string_view text, bounds within) {
  const auto n = parse_number<std::uint64_t>(text);
  if (!n || *n < within.least || *n > within.most) {
    throw usage_error{
        fmt::format("--{}: '{}' is not a whole number from {} to {}", name, text, within.least, within.most)};
  }
  return *n;
}

std::filesystem::path parse_path(std::string_view name, std::string_view text) {
  if (text.empty()) throw usage_error{fmt::format("--{}: the path is empty", name)};
  return text;
}

}  // namespace example
