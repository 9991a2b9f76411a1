#include <cstdio>
#include <exception>

#include <fmt/core.h>

#include <common/failure.hpp>

#include "demo.hpp"
#include "options.hpp"

int main(int argc, char** argv) try {
  const auto options = cache_sync::parse_options(argc, argv);
  if (!options.help) return cache_sync::run_demo(options);
  fmt::print("{}", cache_sync::usage);
  return 0;
} catch (const example::usage_error& e) {
  fmt::print(stderr, "cache_sync: {}\nTry --help.\n", e.what());
  return 2;
} catch (const std::exception& e) {
  fmt::print(stderr, "cache_sync: {}\n", e.what());
  return 1;
}
