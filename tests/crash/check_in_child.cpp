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

}  // namespace

std::vector<std::string> check_in_child(const std::filesystem::path& directory, const history& lines,
                                        const check_options& options) {
  test::child_process child{[&](const std::function<void(const std::string&)>& say) {
    const struct rlimit no_core {};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::alarm(seconds_max);
    // Nothing that the check writes has to outlive it.
    recorder::skip_syncs();
    const auto violations = check(directory, lines, options);
    for (const std::string& v : violations) say(v);
    return violations.empty() ? 0 : 1;
  }};
  std::vector<std::string> violations;
  for (std::string line = child.read_line(); !line.empty(); line = child.read_line()) {
    violations.push_back(std::move(line));
  }
  const int code = child.wait();
  if (code > 128) {
    violations.push_back(fmt::format("the process that opened the store died by signal {}", code - 128));
  } else if (code > 1) {
    violations.push_back(fmt::format("the process that opened the store ended with code {}", code));
  }
  return violations;
}

}  // namespace levada::crash
