#include <crash/power_cut.hpp>

#include <crash/check.hpp>
#include <crash/recorder.hpp>

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

constexpr const char* store_name = "store";
constexpr std::size_t violations_max = 30;

/// A run of the victim, call by call.
struct recorded_run {
  disk_image before;
  history earlier;
  std::vector<operation> operations;
};

/// A moment within a recording, and what a power cut then has left.
struct cut_state {
  std::size_t moment = 0;
  disk_image image;
  history lines;
};

recorded_run record_run(disk_image before, history earlier, const victim_options& options) {
  const test::temporary_directory root;
  before.write_to(root.path());
  victim_options here = options;
  here.directory = root / store_name;
  recorder::start(root.path());
  try {
    run_victim(here, recorder::note);
  } catch (...) {
    static_cast<void>(recorder::stop());
    throw;
  }
  recorded_run run{std::move(before), std::move(earlier), recorder::stop()};

  // A call that the recorder did not see would make every state wrong.
  disk replayed{run.before};
  for (const operation& o : run.operations) replayed.apply(o);
  std::mt19937_64 unused;
  faults none;
  const auto difference = disk_image::difference(replayed.cut(survival::all, nullptr, unused, none),
                                                 disk_image::read_from(root.path()));
  if (!difference.empty()) {
    throw std::logic_error{"the recording, replayed, and what the victim left are not the same: " +
                           difference};
  }
  return run;
}

/// The moments at which something is pending, and all.
struct moments {
  std::vector<std::size_t> all;
  std::vector<std::size_t> pending;
  std::vector<std::size_t> in_creation;
  std::vector<std::size_t> in_sealing;
  std::vector<std::size_t> in_erasing;
  std::uint64_t sealings = 0;
  std::uint64_t segments = 0;
};

/// Follows the sealings of a recording, call by call.
class sealing_watch {
 public:
  void see(const operation& o) {
    switch (o.kind) {
      case operation::what::open:
        if (o.path.filename() == "segments") directory_ = o.inode;
        if ((o.flags & O_CREAT) != 0 && o.path.extension() == ".new") {
          commits_left_ = commits;
          done_ = sealings_;
        }
        break;
      case operation::what::rename:
        if (o.target.extension() == ".seg") ++named_;
        break;
      case operation::what::sync:
        if (o.inode == directory_ && named_ > 0) {
          ++sealings_;
          segments_ += std::exchange(named_, 0);
        }
        break;
      case operation::what::durable_write:
        // LMDB ends a commit to the main file with one.
        if (commits_left_ > 0 && named_ == 0 && sealings_ > done_) --commits_left_;
        if (commits_left_ == 0) done_ = sealings_;
        break;
      default:
        break;
    }
  }
  [[nodiscard]] bool under_way() const noexcept { return commits_left_ > 0; }
  /// After the commit that names the segments, or about then.
  [[nodiscard]] bool erasing() const noexcept { return under_way() && commits_left_ < commits; }
  [[nodiscard]] std::uint64_t sealings() const noexcept { return sealings_; }
  [[nodiscard]] std::uint64_t segments() const noexcept { return segments_; }

 private:
  /// That name the segments and erase rows; a large journal takes more.
  static constexpr int commits = 3;
  std::uint64_t directory_ = 0;
  std::uint64_t named_ = 0;  // and not synced
  std::uint64_t sealings_ = 0;
  std::uint64_t done_ = 0;  // whose commits have come
  std::uint64_t segments_ = 0;
  int commits_left_ = 0;
};

moments find_moments(const recorded_run& run, ignored_syncs ignored) {
  moments found;
  disk d{run.before, ignored};
  const std::string made_line = to_line(opened{});
  bool made = std::find(run.earlier.begin(), run.earlier.end(), made_line) != run.earlier.end();
  sealing_watch seals;
  for (std::size_t i = 0; i < run.operations.size(); ++i) {
    const operation& o = run.operations[i];
    d.apply(o);
    found.all.push_back(i);
    const bool writing =
        i + 1 < run.operations.size() && run.operations[i + 1].kind == operation::what::durable_write;
    if (d.pending() > 0 || writing) found.pending.push_back(i);
    made = made || (o.kind == operation::what::line && o.data == made_line);
    if (!made) found.in_creation.push_back(i);
    seals.see(o);
    if (seals.under_way()) found.in_sealing.push_back(i);
    if (seals.erasing()) found.in_erasing.push_back(i);
  }
  found.sealings = seals.sealings();
  found.segments = seals.segments();
  return found;
}

std::vector<std::size_t> choose_moments(const moments& from, std::uint64_t count, std::mt19937_64& random) {
  std::vector<std::size_t> chosen;
  while (chosen.size() < count) {
    const auto* group = &from.pending;
    if (random() % 10 == 0) group = &from.all;
    if (random() % 4 == 0 && !from.in_sealing.empty()) group = &from.in_sealing;
    if (random() % 6 == 0 && !from.in_erasing.empty()) group = &from.in_erasing;
    if (random() % 8 == 0 && !from.in_creation.empty()) group = &from.in_creation;
    if (group->empty()) group = &from.all;
    chosen.push_back((*group)[random() % group->size()]);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

survival choose_survival(std::mt19937_64& random) {
  constexpr survival kinds[] = {survival::none, survival::all,  survival::oldest, survival::some,
                                survival::torn, survival::torn, survival::torn};
  return kinds[random() % std::size(kinds)];
}

class power_cuts {
 public:
  power_cuts(const power_cut_options& options, const power_cut_progress& progress)
      : options_{options}, progress_{progress}, random_{options.seed} {}

  power_cut_summary run() {
    for (std::uint64_t pair = 0; summary_.states < options_.states; ++pair) {
      victim_options victim;
      victim.seed = options_.seed * 1'000'000 + pair;
      victim.operations = options_.operations;
      victim.burst_records = options_.burst_records;
      victim.planted = options_.planted;
      victim.threads = options_.planted == planted_fault::none && pair % 2 == 1 ? 3 : 1;
      // Each kind with one thread and with three, in first recordings and in second ones.
      const bool background_first = pair % 4 == 1 || pair % 4 == 2;
      victim.seals = background_first ? sealing::in_background : sealing::on_call;
      const auto middle = cut(record_run({}, {}, victim));
      if (summary_.states >= options_.states || !middle) continue;
      victim.run = 2;
      victim.seals = background_first ? sealing::on_call : sealing::in_background;
      victim.seed += 500'000;
      static_cast<void>(cut(record_run(middle->image, middle->lines, victim)));
    }
    return std::move(summary_);
  }

 private:
  /// Checks states of one recording. Returns one of them that is sound.
  std::optional<cut_state> cut(const recorded_run& run) {
    ++summary_.recordings;
    summary_.operations += run.operations.size();
    const moments possible = find_moments(run, options_.ignored);
    summary_.sealings += possible.sealings;
    summary_.segments += possible.segments;
    const auto count = std::min(options_.states_per_recording, options_.states - summary_.states);
    disk d{run.before, options_.ignored};
    history lines = run.earlier;
    std::size_t at = 0;
    std::optional<cut_state> sound;
    std::uint64_t sound_count = 0;
    for (const std::size_t moment : choose_moments(possible, count, random_)) {
      for (; at <= moment; ++at) {
        const operation& o = run.operations[at];
        d.apply(o);
        if (o.kind == operation::what::line) lines.push_back(o.data);
      }
      const operation* const under_way =
          moment + 1 < run.operations.size() ? &run.operations[moment + 1] : nullptr;
      faults injected;
      cut_state state{moment, d.cut(choose_survival(random_), under_way, random_, injected), lines};
      summary_.injected += injected;
      summary_.checked += count_acknowledgements(lines);
      ++summary_.states;
      summary_.states_with_faults += injected.total() > 0 ? 1 : 0;
      summary_.states_in_creation +=
          std::binary_search(possible.in_creation.begin(), possible.in_creation.end(), moment) ? 1 : 0;
      summary_.states_in_sealing +=
          std::binary_search(possible.in_sealing.begin(), possible.in_sealing.end(), moment) ? 1 : 0;
      const bool holds = examine(state);
      if (progress_) progress_(summary_);
      // Each has the same chance to become the one that is gone on from.
      if (holds && random_() % ++sound_count == 0) sound = std::move(state);
    }
    return sound;
  }

  bool examine(const cut_state& state) {
    const test::temporary_directory root;
    state.image.write_to(root.path());
    const auto found = check_in_child(root / store_name, state.lines,
                                      {.use_afterwards = true, .seal = summary_.states % 2 == 0});
    if (found.empty()) return true;
    ++summary_.states_in_violation;
    if (summary_.violations.size() < violations_max) {
      for (const std::string& v : found) {
        summary_.violations.push_back(
            fmt::format("recording {}, after operation {}: {}", summary_.recordings, state.moment, v));
      }
    }
    if (options_.keep) keep(state);
    return false;
  }

  void keep(const cut_state& state) {
    const auto place = *options_.keep / fmt::format("state-{}", summary_.states);
    std::filesystem::create_directories(place);
    state.image.write_to(place);
    write_history(state.lines, place / "history");
  }

  const power_cut_options& options_;
  const power_cut_progress& progress_;
  std::mt19937_64 random_;
  power_cut_summary summary_;
};

}  // namespace

power_cut_summary run_power_cuts(const power_cut_options& options, const power_cut_progress& progress) {
  return power_cuts{options, progress}.run();
}

std::string to_text(const power_cut_summary& s) {
  const faults& f = s.injected;
  std::string text = fmt::format(
      "{} states of {} recordings ({} calls and lines), {} with faults, {} while the store was being made, "
      "{} during a sealing\n"
      "sealings recorded: {} of {} segments\n"
      "faults injected: {} ({} writes lost, {} torn, {} left as zeros, {} truncations lost, {} names lost) "
      "and "
      "{} mapped files scribbled\n"
      "checked: {}\n"
      "violations: in {} states\n",
      s.states, s.recordings, s.operations, s.states_with_faults, s.states_in_creation, s.states_in_sealing,
      s.sealings, s.segments, f.total(), f.writes_lost, f.writes_torn, f.writes_left_as_zeros,
      f.truncations_lost, f.names_lost, f.mapped_files_scribbled, to_text(s.checked), s.states_in_violation);
  for (const std::string& v : s.violations) text += "  " + v + "\n";
  return text;
}

}  // namespace levada::crash
