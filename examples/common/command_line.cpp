#include "command_line.hpp"

#include <algorithm>
#include <cstddef>

#include <fmt/core.h>

#include <getopt.h>

#include "failure.hpp"
#include "text.hpp"

namespace example {

void read_options(int argc, char** argv, const std::vector<known_option>& known) {
  constexpr int first = 1;  // of the letters by which getopt tells them
  std::vector<::option> table;
  for (const known_option& o : known) {
    table.push_back({o.name().c_str(), o.has_value() ? required_argument : no_argument, nullptr,
                     first + static_cast<int>(table.size())});
  }
  table.push_back({nullptr, 0, nullptr, 0});
  ::optind = 0;  // anew, also when it was used before
  ::opterr = 0;
  // A leading colon tells a missing value from an unknown option.
  for (;;) {
    const int at = std::max(::optind, 1);
    const int letter = ::getopt_long(argc, argv, "+:", table.data(), nullptr);
    if (letter == -1) break;
    if (letter == '?') throw usage_error{fmt::format("'{}' is not an option", argv[at])};
    if (letter == ':') throw usage_error{fmt::format("{}: a value is missing", argv[at])};
    const auto then = known.at(static_cast<std::size_t>(letter - first)).apply(::optarg ? ::optarg : "");
    if (then == known_option::then::leave_the_rest) return;
  }
  if (::optind < argc) throw usage_error{fmt::format("'{}' is not an option", argv[::optind])};
}

std::uint64_t option_value::count(bounds within) const {
  const auto n = parse_number<std::uint64_t>(text_);
  if (!n || *n < within.least || *n > within.most) {
    throw usage_error{fmt::format("--{}: '{}' is not a whole number from {} to {}", name_, text_,
                                  within.least, within.most)};
  }
  return *n;
}

std::chrono::milliseconds option_value::milliseconds(bounds within) const {
  return std::chrono::milliseconds{count(within)};
}

std::filesystem::path option_value::path() const {
  if (text_.empty()) throw usage_error{fmt::format("--{}: the path is empty", name_)};
  return text_;
}

}  // namespace example
