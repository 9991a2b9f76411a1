#include <crash/kill_nine.hpp>

#include <crash/check.hpp>
#include <crash/history.hpp>
#include <crash/kill.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <system_error>

#include <support/child_process.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

constexpr std::size_t violations_max = 30;
constexpr std::size_t lines_until_maintenance = 500;

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
      const auto left = names_of_segments();
      check_options how;
      how.mode = random_() % 3 == 0 ? durability::checkpointed : durability::synced;
      how.seal = random_() % 2 == 0;
      auto found = check_in_child(*root_ / "store", lines_, how).violations;
      note_segments(left);
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
    segments_.clear();
    run_ = 0;
    ++summary_.stores;
  }

  /// Returns the exit code of `child_process`.
  int run_and_kill() {
    victim_options victim;
    victim.work = options_.work;
    victim.directory = *root_ / "store";
    victim.seed = random_();
    victim.run = run_;
    victim.operations = operations_without_end;
    victim.operations_per_life = 40;
    victim.threads = options_.planted == planted_fault::none && random_() % 2 == 0 ? 3 : 1;
    victim.seals = random_() % 2 == 0 ? sealing::on_call : sealing::in_background;
    victim.mode = random_() % 2 == 0 ? durability::checkpointed : durability::synced;
    victim.planted = options_.planted;
    summary_.kills_with_checkpoints += victim.mode == durability::checkpointed ? 1 : 0;
    // The store is made between the first line and the second.
    const std::uint64_t wanted = run_ == 1 && random_() % 4 != 0 ? 1 : 1 + random_() % 300;
    const bool in_maintenance = wanted > 1 && random_() % 2 == 0;
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
    if (in_maintenance) {
      const std::string line = to_line(maintaining{});
      const std::size_t at_most = lines_.size() + lines_until_maintenance;
      while (!ended && lines_.back() != line && lines_.size() < at_most) take_line();
    }
    stay_busy(delay);
    child.kill(SIGKILL);
    while (!ended) take_line();
    const int code = child.wait();
    const std::size_t told = lines_.size() - before;
    if (run_ == 1 && told <= 1) ++summary_.kills_in_creation;
    if (told > 0 && announces(lines_.back())) ++summary_.kills_in_operation;
    return code;
  }

  [[nodiscard]] std::set<std::string> names_of_segments() const {
    std::set<std::string> names;
    std::error_code none_yet;
    for (const auto& file : std::filesystem::directory_iterator{*root_ / "store" / "segments", none_yet}) {
      names.insert(file.path().filename().string());
    }
    return names;
  }

  /// `left` is what the kill left; the check has removed what is not part of the store.
  void note_segments(const std::set<std::string>& left) {
    const auto now = names_of_segments();
    for (const std::string& name : left) summary_.segments += segments_.contains(name) ? 0 : 1;
    const bool removed = !std::includes(now.begin(), now.end(), left.begin(), left.end());
    summary_.kills_in_sealing += removed ? 1 : 0;
    segments_ = now;
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
  /// Names, as of the end of the last check.
  std::set<std::string> segments_;
  std::uint32_t run_ = 0;
};

}  // namespace

kill_summary run_kills(const kill_options& options, const kill_progress& progress) {
  return kills{options, progress}.run();
}

std::string to_text(const kill_summary& s) {
  std::string text = fmt::format(
      "{} kills of {} stores, {} while the store was being made, {} with an operation under way, {} with a "
      "segment not completed, {} of a bus with checkpoints\n"
      "segments written: {}\n"
      "checked: {}\n"
      "violations: after {} kills\n",
      s.kills, s.stores, s.kills_in_creation, s.kills_in_operation, s.kills_in_sealing,
      s.kills_with_checkpoints, s.segments, to_text(s.checked), s.kills_in_violation);
  for (const std::string& v : s.violations) text += "  " + v + "\n";
  return text;
}

}  // namespace levada::crash
