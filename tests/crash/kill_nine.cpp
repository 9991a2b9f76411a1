#include <crash/kill_nine.hpp>

#include <crash/check.hpp>
#include <crash/history.hpp>

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <optional>
#include <random>

#include <support/child_process.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

constexpr std::size_t violations_max = 30;

/// Not sleeping, which would end at a tick of the clock.
void stay_busy(std::chrono::microseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until) {
  }
}

/// Whether the last line announces something.
bool announces(const std::string& line) {
  const std::string kind = line.substr(0, line.find(' '));
  return kind.size() > 3 && kind.compare(kind.size() - 3, 3, "ing") == 0;
}

class kills {
 public:
  kills(const kill_options& options, const kill_progress& progress)
      : options_{options}, progress_{progress}, random_{options.seed} {}

  kill_summary run() {
    while (summary_.kills < options_.kills) {
      if (summary_.kills % options_.kills_per_store == 0) begin_store();
      ++run_;
      const int code = run_and_kill();
      auto found = check_in_child(*root_ / "store", lines_);
      if (code != 128 + SIGKILL)
        found.push_back(fmt::format("the victim ended by itself, with code {}", code));
      note(found);
      if (progress_) progress_(summary_);
    }
    return std::move(summary_);
  }

 private:
  void begin_store() {
    root_.emplace();
    lines_.clear();
    run_ = 0;
    ++summary_.stores;
  }

  /// Returns the exit code of `child_process`.
  int run_and_kill() {
    victim_options victim;
    victim.directory = *root_ / "store";
    victim.seed = random_();
    victim.run = run_;
    victim.operations = operations_without_end;
    victim.operations_per_life = 40;
    victim.threads = options_.planted == planted_fault::none && random_() % 2 == 0 ? 3 : 1;
    victim.planted = options_.planted;
    // The store is made between the first line and the second.
    const std::uint64_t wanted = run_ == 1 && random_() % 4 != 0 ? 1 : 1 + random_() % 300;
    const std::chrono::microseconds delay{random_() % 2 == 0 ? 0 : random_() % 2'000};

    test::child_process child{[&](const std::function<void(const std::string&)>& say) {
      run_victim(victim, say);
      return 0;
    }};
    bool ended = false;
    const auto take_line = [&] {
      std::string line = child.read_line();
      ended = line.empty();
      if (!ended) lines_.push_back(std::move(line));
    };
    const std::size_t before = lines_.size();
    while (!ended && lines_.size() < before + wanted) take_line();
    stay_busy(delay);
    child.kill(SIGKILL);
    while (!ended) take_line();
    const int code = child.wait();
    const std::size_t told = lines_.size() - before;
    if (run_ == 1 && told <= 1) ++summary_.kills_in_creation;
    if (told > 0 && announces(lines_.back())) ++summary_.kills_in_operation;
    return code;
  }

  void note(const std::vector<std::string>& found) {
    ++summary_.kills;
    summary_.checked += count_acknowledgements(lines_);
    if (found.empty()) return;
    ++summary_.kills_in_violation;
    if (summary_.violations.size() >= violations_max) return;
    for (const std::string& v : found) {
      summary_.violations.push_back(fmt::format("store {}, kill {}: {}", summary_.stores, summary_.kills, v));
    }
  }

  const kill_options& options_;
  const kill_progress& progress_;
  std::mt19937_64 random_;
  kill_summary summary_;
  std::optional<test::temporary_directory> root_;
  history lines_;
  std::uint32_t run_ = 0;
};

}  // namespace

kill_summary run_kills(const kill_options& options, const kill_progress& progress) {
  return kills{options, progress}.run();
}

std::string to_text(const kill_summary& s) {
  std::string text = fmt::format(
      "{} kills of {} stores, {} while the store was being made, {} with an operation under way\n"
      "checked: {}\n"
      "violations: after {} kills\n",
      s.kills, s.stores, s.kills_in_creation, s.kills_in_operation, to_text(s.checked), s.kills_in_violation);
  for (const std::string& v : s.violations) text += "  " + v + "\n";
  return text;
}

}  // namespace levada::crash
