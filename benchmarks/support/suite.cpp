#include "support/suite.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>
#include <utility>

#include "support/disk.hpp"
#include "support/scratch_directory.hpp"

namespace levada::bench {
namespace {

constexpr int repetitions_full = 7;
constexpr int repetitions_smoke = 2;  // the fewest that have a median

using seconds = std::chrono::duration<double>;

/// The times of one kind of half in one repetition.
class stopwatch {
 public:
  template <class Work>
  seconds time(Work&& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const seconds taken = std::chrono::steady_clock::now() - begin;
    taken_.push_back(taken);
    total_ += taken;
    return taken;
  }

  [[nodiscard]] double total() const noexcept { return total_.count(); }
  /// The time that this share of the halves stayed within.
  [[nodiscard]] double quantile(double share) {
    const auto index = static_cast<std::ptrdiff_t>(share * static_cast<double>(taken_.size() - 1));
    std::nth_element(taken_.begin(), taken_.begin() + index, taken_.end());
    return taken_[static_cast<std::size_t>(index)].count();
  }

 private:
  std::vector<seconds> taken_;
  seconds total_{};
};

/// A question while it is being asked: its stores live from the first repetition to the last.
class inquiry {
 public:
  inquiry(question asked, std::filesystem::path directory, int repetitions)
      : asked_{std::move(asked)}, directory_{std::move(directory)}, repetitions_left_{repetitions} {}

  [[nodiscard]] const question& asked() const noexcept { return asked_; }
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  /// Why it is not asked here; empty where it is.
  [[nodiscard]] const std::string& skipped() const noexcept { return skipped_; }
  [[nodiscard]] std::optional<double> commits() const noexcept { return commits_; }

  void repeat(benchmark::State& state) {
    try {
      stop_if_asked();
      if (asked_.memory_bytes && !pair_ && skipped_.empty()) skipped_ = lack_of_memory(*asked_.memory_bytes);
      if (!skipped_.empty()) return state.SkipWithError(skipped_.c_str());
      if (!failure_.empty()) throw std::runtime_error{failure_};
      set_up();
      measure(state);
      if (--repetitions_left_ == 0) tear_down();
    } catch (const std::exception& e) {
      failure_ = e.what();
      pair_.reset();
      scratch_.reset();
      state.SkipWithError(failure_.c_str());
    }
  }

 private:
  void set_up() {
    if (pair_) return;
    scratch_ = std::make_unique<scratch_directory>(asked_.memory_bytes ? memory_directory : directory_);
    pair_ = asked_.make(scratch_->path());
    pair_->levada_half();
    pair_->raw_half();
  }

  void measure(benchmark::State& state) {
    stopwatch levada;
    stopwatch raw;
    bool raw_first = false;
    for ([[maybe_unused]] auto unused : state) {
      if (raw_first) raw.time([&] { pair_->raw_half(); });
      state.SetIterationTime(levada.time([&] { pair_->levada_half(); }).count());
      if (!raw_first) raw.time([&] { pair_->raw_half(); });
      raw_first = !raw_first;
    }
    const double records = static_cast<double>(asked_.records) * static_cast<double>(state.iterations());
    state.counters["levada/s"] = records / levada.total();
    state.counters["raw/s"] = records / raw.total();
    state.counters["ratio"] = asked_.of_times ? levada.total() / raw.total() : raw.total() / levada.total();
    state.counters["levada_half_p50"] = levada.quantile(0.5);
    state.counters["levada_half_p99"] = levada.quantile(0.99);
    state.counters["raw_half_p50"] = raw.quantile(0.5);
    state.counters["raw_half_p99"] = raw.quantile(0.99);
  }

  void tear_down() {
    commits_ = pair_->finish();
    pair_.reset();
    scratch_.reset();
  }

  question asked_;
  std::filesystem::path directory_;
  int repetitions_left_;
  std::unique_ptr<scratch_directory> scratch_;
  std::unique_ptr<pair> pair_;
  std::optional<double> commits_;
  std::string failure_;
  std::string skipped_;
};

/// A study while it is made. It prints what it finds; its figures become counters.
class investigation {
 public:
  investigation(study asked, std::filesystem::path directory, bool smoke)
      : asked_{std::move(asked)}, directory_{std::move(directory)}, found_{smoke} {}

  [[nodiscard]] const findings& found() const noexcept { return found_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

  void answer(benchmark::State& state) {
    for ([[maybe_unused]] auto unused : state) {
      const auto begin = std::chrono::steady_clock::now();
      fmt::print("\n{}\n", asked_.text);
      try {
        stop_if_asked();
        const scratch_directory scratch{directory_};
        asked_.answer(scratch.path(), found_);
      } catch (const std::exception& e) {
        failed_ = true;
        found_.line(fmt::format("FAILED: {}", e.what()));
        state.SkipWithError(e.what());
        return;
      }
      state.SetIterationTime(seconds{std::chrono::steady_clock::now() - begin}.count());
    }
    for (const auto& figure : found_.figures()) state.counters[figure.first] = figure.second;
  }

 private:
  study asked_;
  std::filesystem::path directory_;
  findings found_;
  bool failed_ = false;
};

using investigations = std::vector<std::shared_ptr<investigation>>;
using inquiries = std::map<std::string, std::shared_ptr<inquiry>>;
using counters = benchmark::UserCounters;

std::string with_unit(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.2f} M/s", per_second / 1e6);
  if (per_second >= 1e4) return fmt::format("{:.1f} k/s", per_second / 1e3);
  return fmt::format("{:.0f} /s", per_second);
}

std::string target_text(const question& q) {
  std::string text;
  if (q.ratio_target) text = fmt::format("{} {:.1f}", q.of_times ? "<=" : ">=", *q.ratio_target);
  if (q.rate_target) text += fmt::format("{}>= {:.0f} M/s", text.empty() ? "" : ", ", *q.rate_target / 1e6);
  return text.empty() ? "none" : text;
}

bool is_met(const question& q, double ratio, double rate) {
  if (q.ratio_target && (q.of_times ? ratio > *q.ratio_target : ratio < *q.ratio_target)) return false;
  return !q.rate_target || rate >= *q.rate_target;
}

/// Prints a line of the table when a question has been answered.
class table : public benchmark::BenchmarkReporter {
 public:
  table(const inquiries& asked, const investigations& studies, bool smoke)
      : asked_{asked}, studies_{studies}, smoke_{smoke} {}

  bool ReportContext(const Context& /*context*/) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    const auto found = asked_.find(runs.front().run_name.function_name);
    if (found == asked_.end()) return;
    print_heading();
    const inquiry& answered = *found->second;
    std::map<std::string, const counters*> aggregates;
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Aggregate) aggregates[run.aggregate_name] = &run.counters;
    }
    // The repetitions come first, by themselves; a failed question has nothing after them.
    if (!answered.skipped().empty()) {
      if (aggregates.empty()) fmt::print("{:<49} SKIPPED: {}\n", answered.asked().text, answered.skipped());
    } else if (!answered.failure().empty() && aggregates.empty()) {
      fmt::print("{:<49} FAILED: {}\n", answered.asked().text, answered.failure());
    } else if (answered.failure().empty() && aggregates.contains("median")) {
      print_line(answered.asked(), answered, *aggregates["median"], *aggregates["min"], *aggregates["max"]);
    }
    std::fflush(stdout);
  }

  void Finalize() override {
    if (smoke_) {
      fmt::print("\nA smoke run: everything ran, and the figures mean nothing.\n");
      return;
    }
    if (!notes_.empty()) fmt::print("\n");
    for (const std::string& note : notes_) fmt::print("{}\n", note);
    for (const auto& one : studies_) {
      targets_ += one->found().targets();
      met_ += one->found().met();
    }
    fmt::print("\n{} of {} targets met.\n", met_, targets_);
    std::fflush(stdout);
  }

 private:
  void print_heading() {
    if (std::exchange(has_heading_, true)) return;
    fmt::print("\n{:<49} {:>12} {:>12} {:>6} {:>13}  {:<17} {}\n", "records of 100 bytes", "levada",
               "raw LMDB", "ratio", "(min - max)", "target", "met");
  }

  void print_line(const question& q, const inquiry& answered, const counters& median, const counters& min,
                  const counters& max) {
    const double ratio = median.at("ratio");
    const double rate = median.at("levada/s");
    std::string met = "-";
    if (!smoke_ && (q.ratio_target || q.rate_target)) {
      const bool yes = is_met(q, ratio, rate);
      met = yes ? "yes" : "NO";
      ++targets_;
      if (yes) ++met_;
    }
    fmt::print("{:<49} {:>12} {:>12} {:>6.2f} {:>13}  {:<17} {}\n", q.text, with_unit(rate),
               with_unit(median.at("raw/s")), ratio,
               fmt::format("({:.2f} - {:.2f})", double{min.at("ratio")}, double{max.at("ratio")}),
               target_text(q), met);
    const auto microseconds = [&](const char* name) { return double{median.at(name)} * 1e6; };
    if (q.of_times) {
      notes_.push_back(
          fmt::format("{}: levada p50 {:.0f} us, p99 {:.0f} us; raw p50 {:.0f} us, p99 {:.0f} us.", q.text,
                      microseconds("levada_half_p50"), microseconds("levada_half_p99"),
                      microseconds("raw_half_p50"), microseconds("raw_half_p99")));
    }
    if (const auto commits = answered.commits()) {
      notes_.push_back(
          fmt::format("{}: levada made {:.2f} times as many commits as raw LMDB.", q.text, *commits));
    }
  }

  const inquiries& asked_;
  const investigations& studies_;
  bool smoke_;
  bool has_heading_ = false;
  int targets_ = 0;
  int met_ = 0;
  std::vector<std::string> notes_;
};

double smallest(const std::vector<double>& v) {
  return *std::min_element(v.begin(), v.end());
}
double largest(const std::vector<double>& v) {
  return *std::max_element(v.begin(), v.end());
}

}  // namespace

bool suite::run() {
  const int repetitions = options_.smoke ? repetitions_smoke : repetitions_full;
  inquiries asked;
  for (const question& q : questions_) {
    auto one = std::make_shared<inquiry>(q, options_.directory, repetitions);
    asked.emplace(q.name, one);
    benchmark::RegisterBenchmark(q.name.c_str(), [one](benchmark::State& state) { one->repeat(state); })
        ->Iterations(options_.smoke ? 1 : q.halves)
        ->Repetitions(repetitions)
        ->UseManualTime()
        ->ComputeStatistics("min", smallest)
        ->ComputeStatistics("max", largest);
  }
  investigations studies;
  for (const study& s : studies_) {
    auto one = std::make_shared<investigation>(s, options_.directory, options_.smoke);
    studies.push_back(one);
    benchmark::RegisterBenchmark(s.name.c_str(), [one](benchmark::State& state) { one->answer(state); })
        ->Iterations(1)
        ->UseManualTime();
  }
  table lines{asked, studies, options_.smoke};
  benchmark::RunSpecifiedBenchmarks(&lines);
  benchmark::ClearRegisteredBenchmarks();
  return std::all_of(asked.begin(), asked.end(),
                     [](const auto& one) { return one.second->failure().empty(); }) &&
         std::none_of(studies.begin(), studies.end(), [](const auto& one) { return one->failed(); });
}

}  // namespace levada::bench
