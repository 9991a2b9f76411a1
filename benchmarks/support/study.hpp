#pragma once

/// @file
/// Questions that are no pair of equal halves: they run long, or compare more than two sides.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace levada::bench {

/// How much the studies write. Set by options; a smoke run has less by default.
struct amounts {
  /// Of records, by `sustained_publish`.
  std::uint64_t sustained_bytes = 2'000'000'000;
  /// Of the topic that `topic_deletion` deletes; as much again stands between its records.
  std::uint64_t deleted_bytes = 500'000'000;
  /// The limit in `retention_space`; four times as much is published.
  std::uint64_t retention_bytes = std::uint64_t{1} << 30;
  /// The smallest and the largest store of `cost_with_size`; between them each has ten times the records of
  /// the one before.
  std::uint64_t records_min = 1'000'000;
  std::uint64_t records_max = 10'000'000;
};

/// Just enough to see that every study runs.
inline constexpr amounts amounts_smoke{.sustained_bytes = 4'000'000,
                                       .deleted_bytes = 4'000'000,
                                       .retention_bytes = std::uint64_t{8} << 20,
                                       .records_min = 16'000,
                                       .records_max = 160'000};

/// What a study has found out: lines for the reader, printed at once, and figures for the JSON file.
class findings {
 public:
  /// In a smoke run no target is judged.
  explicit findings(bool smoke) : smoke_{smoke} {}

  [[nodiscard]] bool smoke() const noexcept { return smoke_; }
  /// Prints a line.
  void line(std::string_view text) const;
  /// Notes a figure.
  void figure(const std::string& name, double value) { figures_[name] = value; }
  /// Notes a ratio, judges it and prints a line about it.
  void at_least(const std::string& name, std::string_view text, double value, double target);
  void at_most(const std::string& name, std::string_view text, double value, double target);

  [[nodiscard]] const std::map<std::string, double>& figures() const noexcept { return figures_; }
  [[nodiscard]] int targets() const noexcept { return targets_; }
  [[nodiscard]] int met() const noexcept { return met_; }

 private:
  void judge(const std::string& name, std::string_view text, double value, const std::string& target,
             bool reached);

  bool smoke_;
  std::map<std::string, double> figures_;
  int targets_ = 0;
  int met_ = 0;
};

struct study {
  /// For --benchmark_filter and JSON.
  std::string name;
  /// The line above its findings.
  std::string text;
  /// Answers the question, in an empty directory that is removed afterwards. Throws what keeps it from that.
  std::function<void(const std::filesystem::path&, findings&)> answer;
};

/// From now on SIGINT and SIGTERM no longer end the process: `stop_if_asked` does, so that what lies on the
/// disk is removed.
void note_signals();
/// Throws std::runtime_error if such a signal came. To be called between the slices of a measurement.
void stop_if_asked();

/// The middle one. Precondition: not empty.
[[nodiscard]] double median(std::vector<double> values);
/// "0.62 (0.55 - 0.70)": median and range.
[[nodiscard]] std::string with_range(const std::vector<double>& values);

}  // namespace levada::bench
