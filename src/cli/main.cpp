#include <chrono>
#include <exception>
#include <new>
#include <type_traits>
#include <variant>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/standard_streams.hpp"

namespace levada::cli {
namespace {

constexpr int failure_status = 1;
constexpr int usage_status = 2;

result<int> print(const text_request& request) {
  output out;
  out.write(request.text);
  if (auto written = out.flush(); !written) return written.error();
  return 0;
}

int execute(const request& asked) {
  return std::visit(
      [](const auto& r) {
        using type = std::decay_t<decltype(r)>;
        if constexpr (std::is_same_v<type, usage_error>) {
          report(r.message);
          return usage_status;
        } else {
          result<int> done = 0;
          if constexpr (std::is_same_v<type, text_request>) {
            done = print(r);
          } else {
            done = run(r);
          }
          if (done) return *done;
          report(done.error().message());
          return failure_status;
        }
      },
      asked);
}

}  // namespace
}  // namespace levada::cli

int main(int argc, char** argv) {
  using namespace levada;
  try {
    cli::occupy_standard_streams();
    const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    return cli::execute(cli::parse_arguments(argc, argv, now));
  } catch (const std::bad_alloc&) {
    cli::report("out of memory");
  } catch (const std::exception& e) {
    cli::report(e.what());
  }
  return cli::failure_status;
}
