#include <crash/check.hpp>

#include <crash/recorder.hpp>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <support/child_process.hpp>

namespace levada::crash {
namespace {

/// No check takes so long; one that does hangs.
constexpr unsigned seconds_max = 100;
const std::string moment_prefix = "holds lines: ";

}  // namespace

check_outcome check_in_child(const std::filesystem::path& directory, const history& lines,
                             const check_options& options) {
  test::child_process child{[&](const std::function<void(const std::string&)>& say) {
    const struct rlimit no_core {};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::alarm(seconds_max);
    // Nothing that the check writes has to outlive it.
    recorder::skip_syncs();
    const check_outcome found = check(directory, lines, options);
    for (const std::string& v : found.violations) say(v);
    say(fmt::format("{}{}", moment_prefix, found.lines));
    return found.violations.empty() ? 0 : 1;
  }};
  check_outcome outcome{{}, lines.size()};
  auto& violations = outcome.violations;
  for (std::string line = child.read_line(); !line.empty(); line = child.read_line()) {
    if (line.compare(0, moment_prefix.size(), moment_prefix) == 0) {
      outcome.lines = std::stoull(line.substr(moment_prefix.size()));
    } else {
      violations.push_back(std::move(line));
    }
  }
  const int code = child.wait();
  if (code > 128) {
    violations.push_back(fmt::format("the process that opened the store died by signal {}", code - 128));
  } else if (code > 1) {
    violations.push_back(fmt::format("the process that opened the store ended with code {}", code));
  }
  return outcome;
}

}  // namespace levada::crash
