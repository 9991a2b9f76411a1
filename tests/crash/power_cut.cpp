#include <crash/power_cut.hpp>

#include <crash/check.hpp>
#include <crash/moments.hpp>
#include <crash/recorder.hpp>
#include <crash/recording_watch.hpp>

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
/// In which states are looked at after a power cut.
constexpr const char* boot_of_check = "boot of the check";

/// A disk, what was told of it, and the run of the system from which it is.
struct situation {
  disk content;
  history lines;
  std::string boot_id;
};

/// A run of the victim, call by call.
struct recorded_run {
  situation start;
  std::vector<operation> operations;
  std::string boot_id;
  bool recovers = false;
};

/// A moment within a recording, and how the run ends there.
struct cut_plan {
  std::size_t moment = 0;
  aftermath of = aftermath::power_cut;
  survival what = survival::all;
};

disk_image whole(const disk& d) {
  std::mt19937_64 unused;
  faults none;
  return d.cut(survival::all, nullptr, unused, none);
}

recorded_run record_run(situation start, const victim_options& options) {
  const test::temporary_directory root;
  whole(start.content).write_to(root.path());
  victim_options here = options;
  here.directory = root / store_name;
  recorder::start(root.path());
  try {
    run_victim(here, recorder::note);
  } catch (...) {
    static_cast<void>(recorder::stop());
    throw;
  }
  recorded_run run{std::move(start), recorder::stop(), options.boot_id};

  // A call that the recorder did not see would make every state wrong.
  disk replayed = run.start.content;
  for (const operation& o : run.operations) replayed.apply(o);
  const auto difference = disk_image::difference(whole(replayed), disk_image::read_from(root.path()));
  if (!difference.empty()) {
    throw std::logic_error{"the recording, replayed, and what the victim left are not the same: " +
                           difference};
  }
  return run;
}

survival choose_survival(std::mt19937_64& random) {
  constexpr survival kinds[] = {survival::none, survival::all,  survival::oldest, survival::some,
                                survival::torn, survival::torn, survival::torn};
  return kinds[random() % std::size(kinds)];
}

std::vector<cut_plan> choose_cuts(const moments& from, std::uint64_t count, bool all_of_recovery,
                                  std::mt19937_64& random) {
  std::vector<cut_plan> chosen;
  if (all_of_recovery) {
    for (const std::size_t moment : from.in_recovery) {
      chosen.push_back({moment, aftermath::power_cut, survival::all});
      chosen.push_back({moment, aftermath::power_cut, choose_survival(random)});
    }
    if (chosen.size() > count) chosen.resize(count);
  }
  while (chosen.size() < count) {
    const auto* group = &from.pending;
    const auto prefer = [&](unsigned once_in, const std::vector<std::size_t>& other) {
      if (random() % once_in == 0 && !other.empty()) group = &other;
    };
    prefer(10, from.all);
    prefer(4, from.in_sealing);
    prefer(6, from.in_erasing);
    prefer(6, from.in_flush);
    prefer(5, from.in_removal);
    prefer(10, from.in_recovery);
    prefer(10, from.in_creation);
    if (group->empty()) group = &from.all;
    cut_plan plan{(*group)[random() % group->size()], aftermath::power_cut, choose_survival(random)};
    if (random() % 10 == 0) {
      plan.of = aftermath::process_death;
      plan.what = survival::all;
    }
    chosen.push_back(plan);
  }
  std::stable_sort(chosen.begin(), chosen.end(),
                   [](const cut_plan& a, const cut_plan& b) { return a.moment < b.moment; });
  return chosen;
}

bool contains(const std::vector<std::size_t>& group, std::size_t moment) {
  return std::binary_search(group.begin(), group.end(), moment);
}

durability other(durability mode) {
  return mode == durability::synced ? durability::checkpointed : durability::synced;
}

class power_cuts {
 public:
  power_cuts(const power_cut_options& options, const power_cut_progress& progress)
      : options_{options}, progress_{progress}, random_{options.seed} {}

  power_cut_summary run() {
    for (std::uint64_t pair = 0; summary_.states < options_.states && !is_shown(); ++pair) {
      victim_options victim;
      victim.work = options_.work;
      victim.seed = options_.seed * 1'000'000 + pair;
      victim.operations = options_.operations;
      victim.burst_records = options_.burst_records;
      victim.planted = options_.planted;
      victim.threads = options_.planted == planted_fault::none && pair % 2 == 1 ? 3 : 1;
      victim.mode = options_.mode;
      // Each kind with one thread and with three, in first recordings and in second ones.
      const bool background_first = pair % 4 == 1 || pair % 4 == 2;
      victim.seals = background_first ? sealing::in_background : sealing::on_call;
      middle_ = pair % 3 == 1 ? aftermath::process_death : aftermath::power_cut;
      const auto middle = cut(record({disk{{}, options_.ignored}, {}, "boot 0"}, victim));
      if (summary_.states >= options_.states || !middle) continue;
      victim.run = 2;
      victim.seals = background_first ? sealing::on_call : sealing::in_background;
      victim.seed += 500'000;
      if (pair % 4 == 2 || pair % 7 == 4) victim.mode = other(options_.mode);
      victim.boot_id = middle->boot_id;
      auto second = record(*middle, victim);
      second.recovers = pair % 3 == 0 || victim.mode != options_.mode;
      static_cast<void>(cut(second));
    }
    return std::move(summary_);
  }

 private:
  [[nodiscard]] bool is_shown() const {
    const auto& says = options_.until_violation_says;
    return !says.empty() && std::any_of(summary_.violations.begin(), summary_.violations.end(),
                                        [&says](const auto& v) { return v.find(says) != std::string::npos; });
  }
  [[nodiscard]] recorded_run record(situation start, const victim_options& victim) const {
    auto run = record_run(std::move(start), victim);
    run.operations = reorder(std::move(run.operations), options_.wrong_order);
    return run;
  }

  /// Checks states of one recording. Returns one of them that is sound, to go on from.
  std::optional<situation> cut(const recorded_run& run) {
    ++summary_.recordings;
    summary_.operations += run.operations.size();
    const moments possible = find_moments(run.start.content, run.start.lines, run.operations);
    summary_.sealings += possible.sealings;
    summary_.segments += possible.segments;
    summary_.segments_removed += possible.segments_removed;
    const auto left = options_.states - summary_.states;
    const auto wanted = run.recovers
                            ? std::max(options_.states_per_recording, 2 * possible.in_recovery.size())
                            : options_.states_per_recording;
    situation now = run.start;
    now.boot_id = run.boot_id;
    std::size_t at = 0;
    std::optional<situation> sound;
    std::uint64_t sound_count = 0;
    for (const cut_plan& plan : choose_cuts(possible, std::min(wanted, left), run.recovers, random_)) {
      for (; at <= plan.moment; ++at) {
        const operation& o = run.operations[at];
        now.content.apply(o);
        if (o.kind == operation::what::line) now.lines.push_back(o.data);
      }
      const bool death = plan.of == aftermath::process_death;
      const operation* const under_way =
          !death && plan.moment + 1 < run.operations.size() ? &run.operations[plan.moment + 1] : nullptr;
      faults injected;
      const disk_image image = now.content.cut(plan.what, under_way, random_, injected);
      count(plan, possible, injected);
      const check_outcome outcome = examine(image, now, plan);
      if (progress_) progress_(summary_);
      if (!outcome.violations.empty() || plan.of != middle_) continue;
      // Each has the same chance to become the one that is gone on from.
      if (random_() % ++sound_count == 0) sound = death ? now : taken_back(image, now, outcome.lines);
    }
    return sound;
  }

  /// What the disk holds after a power cut is all that there is, and not taken back any more.
  [[nodiscard]] situation taken_back(const disk_image& image, const situation& from,
                                     std::size_t lines) const {
    situation left{disk{image, options_.ignored}, from.lines, fmt::format("{} and on", from.boot_id)};
    left.lines.resize(lines);
    left.lines.push_back(to_line(flushing{}));
    left.lines.push_back(to_line(flushed{}));
    return left;
  }

  void count(const cut_plan& plan, const moments& possible, const faults& injected) {
    ++summary_.states;
    summary_.injected += injected;
    summary_.states_with_faults += injected.total() > 0 ? 1 : 0;
    summary_.states_in_creation += contains(possible.in_creation, plan.moment) ? 1 : 0;
    summary_.states_in_sealing += contains(possible.in_sealing, plan.moment) ? 1 : 0;
    summary_.states_in_removal += contains(possible.in_removal, plan.moment) ? 1 : 0;
    summary_.states_in_flush += contains(possible.in_flush, plan.moment) ? 1 : 0;
    summary_.states_in_recovery += contains(possible.in_recovery, plan.moment) ? 1 : 0;
    summary_.states_of_death += plan.of == aftermath::process_death ? 1 : 0;
  }

  check_outcome examine(const disk_image& image, const situation& now, const cut_plan& plan) {
    const test::temporary_directory root;
    image.write_to(root.path());
    check_options how;
    how.of = plan.of;
    how.mode = summary_.states % 3 == 0 ? other(options_.mode) : options_.mode;
    how.boot_id = plan.of == aftermath::power_cut ? boot_of_check : now.boot_id;
    how.use_afterwards = true;
    how.seal = summary_.states % 2 == 0;
    auto outcome = check_in_child(root / store_name, now.lines, how);
    summary_.checked += count_acknowledgements(now.lines);
    summary_.in_queues += outcome.in_queues;
    summary_.states_taken_back += outcome.lines < now.lines.size() ? 1 : 0;
    if (outcome.violations.empty()) return outcome;
    ++summary_.states_in_violation;
    if (summary_.violations.size() < violations_max) {
      for (const std::string& v : outcome.violations) {
        summary_.violations.push_back(fmt::format("state {} of recording {}, after operation {}: {}",
                                                  summary_.states, summary_.recordings, plan.moment, v));
      }
    }
    if (options_.keep) keep(image, now.lines, how);
    return outcome;
  }

  void keep(const disk_image& image, const history& lines, const check_options& how) const {
    const auto place = *options_.keep / fmt::format("state-{}", summary_.states);
    std::filesystem::create_directories(place);
    image.write_to(place);
    write_history(lines, place / "history");
    write_history(
        {fmt::format("levada_victim check {0}/store {0}/history --after {1} --durability {2} --boot-id '{3}' "
                     "--seal {4} --use 1",
                     place.string(), how.of == aftermath::power_cut ? "power-cut" : "process-death",
                     how.mode == durability::synced ? "sync" : "checkpointed", how.boot_id,
                     how.seal ? 1 : 0)},
        place / "command");
  }

  const power_cut_options& options_;
  const power_cut_progress& progress_;
  std::mt19937_64 random_;
  power_cut_summary summary_;
  /// What ends a first recording for its second one to begin.
  aftermath middle_ = aftermath::power_cut;
};

}  // namespace

power_cut_summary run_power_cuts(const power_cut_options& options, const power_cut_progress& progress) {
  return power_cuts{options, progress}.run();
}

std::string to_text(const power_cut_summary& s) {
  const faults& f = s.injected;
  std::string text = fmt::format(
      "{} states of {} recordings ({} calls and lines), {} with faults, {} after the death of the process "
      "alone, "
      "{} taken back to an earlier moment\n"
      "cut while the store was being made: {}, during a sealing: {}, around a removal: {}, during a sync: "
      "{}, "
      "during a recovery: {}\n"
      "sealings and rewritings recorded: {} of {} segments; segments removed: {}\n"
      "faults injected: {} ({} writes lost, {} torn, {} left as zeros, {} truncations lost, {} names lost) "
      "and {} mapped files scribbled\n"
      "checked: {}\n"
      "violations: in {} states\n",
      s.states, s.recordings, s.operations, s.states_with_faults, s.states_of_death, s.states_taken_back,
      s.states_in_creation, s.states_in_sealing, s.states_in_removal, s.states_in_flush, s.states_in_recovery,
      s.sealings, s.segments, s.segments_removed, f.total(), f.writes_lost, f.writes_torn,
      f.writes_left_as_zeros, f.truncations_lost, f.names_lost, f.mapped_files_scribbled, to_text(s.checked),
      s.states_in_violation);
  if (s.in_queues.messages > 0) text += fmt::format("found in queues: {}\n", to_text(s.in_queues));
  for (const std::string& v : s.violations) text += "  " + v + "\n";
  return text;
}

}  // namespace levada::crash
