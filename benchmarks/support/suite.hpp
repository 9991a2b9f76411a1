#pragma once

/// @file
/// Pairs of equal work, measured side by side, and the table that they end in.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/study.hpp"

namespace levada::bench {

/// One piece of work, done through levada and through raw LMDB. Both halves handle the same number of records
/// and the same stored bytes.
class pair {
 public:
  virtual ~pair() = default;
  virtual void levada_half() = 0;
  virtual void raw_half() = 0;
  /// Closes both stores and throws std::runtime_error if they do not hold the same rows. Called once, last.
  /// Returns levada's commits over raw LMDB's, where that is of interest.
  virtual std::optional<double> finish() = 0;
};

/// What is asked of a pair.
struct question {
  /// For --benchmark_filter and JSON.
  std::string name;
  /// For the table.
  std::string text;
  /// Records that each half handles.
  std::uint64_t records = 0;
  /// Halves of either kind in one repetition.
  int halves = 1;
  /// The ratio is levada's time over raw LMDB's, for work on one record; else levada's records per second
  /// over raw LMDB's.
  bool of_times = false;
  /// The ratio to be reached: at most for times, at least for rates. None: the question has no target.
  std::optional<double> ratio_target = std::nullopt;
  /// Records per second to be reached besides.
  std::optional<double> rate_target = std::nullopt;
  /// The stores lie in memory, on the tmpfs at /dev/shm; the question is skipped, and that is said, where
  /// this many bytes are not to spare there. None: on the disk.
  std::optional<std::uint64_t> memory_bytes = std::nullopt;
  /// Makes stores in an empty directory and fills them as needed.
  std::function<std::unique_ptr<pair>(const std::filesystem::path&)> make;
};

struct suite_options {
  /// Where scratch directories are made.
  std::filesystem::path directory;
  /// Work just enough to see that every benchmark runs; its figures mean nothing.
  bool smoke = false;
  /// How much the studies write.
  amounts studies = {};
};

/// All questions of a run, pairs before studies. Each pair is asked in seven repetitions on one pair of
/// stores; within a repetition the two halves take turns and change their order each time; a first round of
/// both, not measured, touches all memory.
class suite {
 public:
  explicit suite(suite_options options) : options_{std::move(options)} {}

  [[nodiscard]] const suite_options& options() const noexcept { return options_; }
  /// `full`, or in a smoke run `brief`.
  template <class T>
  [[nodiscard]] T size(T full, T brief) const {
    return options_.smoke ? brief : full;
  }
  void ask(question q) { questions_.push_back(std::move(q)); }
  void ask(study s) { studies_.push_back(std::move(s)); }

  /// Asks all that the filter lets through, and prints a line for each pair, several for a study. False when
  /// one of them failed; missed targets are no failure.
  [[nodiscard]] bool run();

 private:
  suite_options options_;
  std::vector<question> questions_;
  std::vector<study> studies_;
};

}  // namespace levada::bench
