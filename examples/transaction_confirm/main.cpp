#include <cstdio>
#include <exception>

#include <fmt/core.h>

#include <common/failure.hpp>

#include "demo.hpp"
#include "options.hpp"

int main(int argc, char** argv) try {
  const auto options = transaction_confirm::parse_options(argc, argv);
  if (!options.help) return transaction_confirm::run_demo(options);
  fmt::print("{}", transaction_confirm::usage);
  return 0;
} catch (const example::usage_error& e) {
  fmt::print(stderr, "transaction_confirm: {}\nTry --help.\n", e.what());
  return 2;
} catch (const std::exception& e) {
  fmt::print(stderr, "transaction_confirm: {}\n", e.what());
  return 1;
}
