#include <cstdio>
#include <exception>

#include <fmt/core.h>

#include <common/failure.hpp>

#include "demo.hpp"
#include "host.hpp"
#include "host_process.hpp"
#include "options.hpp"

namespace {

int run(const emergency::options& o) {
  using job = emergency::options::job;
  switch (o.what) {
    case job::help:
      fmt::print("{}", emergency::usage);
      return 0;
    case job::host:
      emergency::run_host({*o.directory, o.report_period.value_or(std::chrono::days{0})});
      return 0;
    case job::prove:
      return emergency::prove_again(o);
    case job::demo:
      return emergency::run_demo(o);
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) try {
  return run(emergency::parse_options(argc, argv));
} catch (const example::usage_error& e) {
  fmt::print(stderr, "emergency_call: {}\nTry --help.\n", e.what());
  return 2;
} catch (const emergency::host_failed&) {
  return 1;
} catch (const std::exception& e) {
  fmt::print(stderr, "emergency_call: {}\n", e.what());
  return 1;
}
