#include <chrono>
#include <exception>
#include <new>
#include <type_traits>
#include <variant>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"
#include "cli/standard_streams.hpp"

namespace levada::cli {
namespace {

constexpr int usage_status = 2;

result<int> run(const text_request& request) {
  output out;
  out.write(request.text);
  return out.finish(0);
}

int execute(const request& asked) {
  return std::visit(
      [](const auto& r) {
        if constexpr (std::is_same_v<std::decay_t<decltype(r)>, usage_error>) {
          report(r.message);
          return usage_status;
        } else {
          const result<int> done = run(r);
          if (done) return *done;
          report(done.error().message());
          return failure_status;
        }
      },
      asked);
}

int run_program(int argc, char** argv) {
  try {
    occupy_standard_streams();
    const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    return execute(parse_arguments(argc, argv, now));
  } catch (const std::bad_alloc&) {
    report("out of memory");
  } catch (const std::exception& e) {
    report(e.what());
  }
  return failure_status;
}

}  // namespace
}  // namespace levada::cli

int main(int argc, char** argv) {
  using namespace levada::cli;
  ignore_write_signals();
  const int status = run_program(argc, argv);
  if (status > status_after(0)) die_of(status - status_after(0));
  return status;
}
