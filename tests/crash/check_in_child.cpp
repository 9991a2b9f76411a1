#include <crash/check.hpp>

#include <crash/recorder.hpp>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sstream>
#include <utility>

#include <support/child_process.hpp>

namespace levada::crash {
namespace {

/// No check takes so long; one that does hangs.
constexpr unsigned seconds_max = 100;
const std::string numbers_prefix = "holds ";

/// What an outcome says but for violations, as one line.
std::string numbers_of(const check_outcome& o) {
  const queue_findings& q = o.in_queues;
  return fmt::format("{}{} {} {} {} {} {} {} {}", numbers_prefix, o.lines, q.messages, q.later, q.redelivered,
                     q.rejected, q.expired, q.dropped, q.used_up);
}
void read_numbers(const std::string& line, check_outcome& o) {
  std::istringstream in{line.substr(numbers_prefix.size())};
  queue_findings& q = o.in_queues;
  in >> o.lines >> q.messages >> q.later >> q.redelivered >> q.rejected >> q.expired >> q.dropped >>
      q.used_up;
}

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
    say(numbers_of(found));
    return found.violations.empty() ? 0 : 1;
  }};
  check_outcome outcome;
  outcome.lines = lines.size();
  auto& violations = outcome.violations;
  for (std::string line = child.read_line(); !line.empty(); line = child.read_line()) {
    if (line.compare(0, numbers_prefix.size(), numbers_prefix) == 0) {
      read_numbers(line, outcome);
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
