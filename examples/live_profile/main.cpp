#include <cstdio>
#include <exception>

#include <fmt/core.h>

#include <common/failure.hpp>

#include "demo.hpp"
#include "options.hpp"

int main(int argc, char** argv) try {
  const auto options = live_profile::parse_options(argc, argv);
  if (!options.help) return live_profile::run_demo(options);
  fmt::print("{}", live_profile::usage);
  return 0;
} catch (const example::usage_error& e) {
  fmt::print(stderr, "live_profile: {}\nTry --help.\n", e.what());
  return 2;
} catch (const std::exception& e) {
  fmt::print(stderr, "live_profile: {}\n", e.what());
  return 1;
}
