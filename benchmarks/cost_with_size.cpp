// What grows with the number of records in a store: the time of a publish, of opening it, and memory. Stores
// of all sizes stand side by side and take turns.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/disk.hpp"
#include "support/open_probe.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr std::uint32_t partitions = 8;
constexpr std::size_t records_per_commit = 8'000;
/// What a record of 100 bytes takes up on the disk, at the most, with all that is written around it.
constexpr std::uint64_t disk_bytes_per_record = 135;
/// Commits of one slice; its rows are sealed within it.
constexpr std::size_t groups_per_slice = 8;
/// Commits that stand in the journal when opening is measured: half of what makes sealing due.
constexpr std::size_t groups_in_journal = 32;
constexpr int rounds_full = 7;
constexpr int rounds_smoke = 2;

using seconds = std::chrono::duration<double>;

/// Everything that was measured on the store of one size.
struct subject {
  std::uint64_t records = 0;
  std::filesystem::path directory;
  std::vector<double> publish;           // seconds of a slice, without sealing
  std::vector<double> publish_and_seal;  // with it
  std::vector<open_sample> after_close;
  std::vector<open_sample> after_kill;
  double anonymous_bytes_read = 0;  // at the end of a pass over everything
};

void publish(const topic& where, publish_batch& batch, std::size_t commits) {
  for (std::size_t i = 0; i < commits; ++i) {
    add_records(batch, records_per_commit);
    (void)where.publish(batch).value();
  }
}

void fill(const subject& s) {
  bus opened = bus::open(s.directory).value();
  const topic measured = opened.declare_topic("measured", {.partitions = partitions}).value();
  publish_batch batch = measured.make_batch();
  for (std::uint64_t i = 0; i < s.records / records_per_commit; ++i) {
    if (i % 64 == 0) stop_if_asked();
    publish(measured, batch, 1);
  }
  opened.close().value();
}

/// One store while its publishing is measured. Sealing is done within each slice and not by a thread, so that
/// all slices have an equal share of it.
class publisher {
 public:
  explicit publisher(subject& s)
      : subject_{s},
        bus_{bus::open(s.directory, sealing_on_call()).value()},
        topic_{bus_.topic("measured").value()},
        batch_{topic_.make_batch()} {}

  void slice(bool count) {
    const auto begin = std::chrono::steady_clock::now();
    publish(topic_, batch_, groups_per_slice);
    const auto published = std::chrono::steady_clock::now();
    bus_.maintain().value();
    const auto sealed = std::chrono::steady_clock::now();
    if (!count) return;
    subject_.publish.push_back(seconds{published - begin}.count());
    subject_.publish_and_seal.push_back(seconds{sealed - begin}.count());
  }
  void leave_journal() {
    publish(topic_, batch_, groups_in_journal);
    bus_.close().value();
  }

 private:
  static bus_options sealing_on_call() {
    bus_options o;
    o.maintenance = maintenance_mode::on_call;
    o.journal_bytes_seal = 1;
    return o;
  }

  subject& subject_;
  bus bus_;
  topic topic_;
  publish_batch batch_;
};

/// Calls `work(i)` for all stores, from the smallest on or from the largest on.
template <class Work>
void in_turn(std::size_t stores, int round, Work&& work) {
  for (std::size_t i = 0; i < stores; ++i) work(round % 2 == 0 ? i : stores - 1 - i);
}

void measure_publishing(std::vector<subject>& subjects, int rounds) {
  std::vector<std::unique_ptr<publisher>> publishers;
  publishers.reserve(subjects.size());
  for (subject& s : subjects) publishers.push_back(std::make_unique<publisher>(s));
  // Two rounds first: what filling has left in the journal is sealed, and the pages that this frees are used.
  constexpr int first_rounds = 2;
  for (int round = 0; round < rounds + first_rounds; ++round) {
    stop_if_asked();
    in_turn(subjects.size(), round, [&](std::size_t i) { publishers[i]->slice(round >= first_rounds); });
  }
  for (const auto& p : publishers) p->leave_journal();
}

void measure_opening(std::vector<subject>& subjects, int rounds) {
  for (int round = -1; round < rounds; ++round) {
    in_turn(subjects.size(), round + 1, [&](std::size_t i) {
      stop_if_asked();
      subject& s = subjects[i];
      // Each finds what the one before has left.
      const open_sample after_close = probe_open(s.directory, probe_end::kill);
      const open_sample after_kill = probe_open(s.directory, probe_end::close);
      if (round < 0) return;
      s.after_close.push_back(after_close);
      s.after_kill.push_back(after_kill);
    });
  }
  for (subject& s : subjects) {
    stop_if_asked();
    s.anonymous_bytes_read = probe_open(s.directory, probe_end::read).anonymous_bytes;
  }
}

double median_of(const std::vector<open_sample>& samples, double open_sample::*field) {
  std::vector<double> values;
  values.reserve(samples.size());
  for (const open_sample& one : samples) values.push_back(one.*field);
  return median(std::move(values));
}

/// The median, over all rounds, of the first store's time over another's: the other's rate over the first's.
double rate_beside(const std::vector<double>& first, const std::vector<double>& other) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < first.size(); ++i) ratios.push_back(first[i] / other[i]);
  return median(std::move(ratios));
}

void report(const std::vector<subject>& subjects, findings& found) {
  constexpr double mebibyte = 1 << 20;
  const subject& first = subjects.front();
  const double slice_records = groups_per_slice * records_per_commit;
  found.line(fmt::format("{:>12} {:>9} {:>9} {:>9}   {:>16} {:>16} {:>9} {:>12}   {:>18} {:>18}", "records",
                         "publish", "ratio", "& sealed", "open, closed", "open, killed", "ratios",
                         "main read", "anonymous memory", "after a pass"));
  for (const subject& s : subjects) {
    const double publishing = rate_beside(first.publish, s.publish);
    const double sealing = rate_beside(first.publish_and_seal, s.publish_and_seal);
    const double closed = median_of(s.after_close, &open_sample::open_milliseconds);
    const double killed = median_of(s.after_kill, &open_sample::open_milliseconds);
    const double closed_ratio = closed / median_of(first.after_close, &open_sample::open_milliseconds);
    const double killed_ratio = killed / median_of(first.after_kill, &open_sample::open_milliseconds);
    const double read = median_of(s.after_kill, &open_sample::read_milliseconds);
    const double main = median_of(s.after_kill, &open_sample::main_bytes);
    const double memory = median_of(s.after_close, &open_sample::anonymous_bytes);
    const double memory_ratio = memory / median_of(first.after_close, &open_sample::anonymous_bytes);
    found.line(fmt::format(
        "{:>12} {:>5.2f} M/s {:>8.2f} {:>9.2f}   {:>13.1f} ms {:>13.1f} ms {:>4.2f} {:>4.2f} {:>9.1f} ms   "
        "{:>8.1f} MiB {:>4.2f}x {:>8.1f} MiB {:>4.2f}x",
        s.records, slice_records / median(s.publish) / 1e6, publishing, sealing, closed, killed, closed_ratio,
        killed_ratio, read, memory / mebibyte, memory_ratio, s.anonymous_bytes_read / mebibyte,
        s.anonymous_bytes_read / first.anonymous_bytes_read));
    const auto figure = [&](const char* name, double value) {
      found.figure(fmt::format("records:{}/{}", s.records, name), value);
    };
    figure("publish_ratio", publishing);
    figure("publish_and_seal_ratio", sealing);
    figure("open_after_close_milliseconds", closed);
    figure("open_after_kill_milliseconds", killed);
    figure("open_after_close_ratio", closed_ratio);
    figure("open_after_kill_ratio", killed_ratio);
    figure("main_read_milliseconds", read);
    figure("main_bytes", main);
    figure("anonymous_bytes", memory);
    figure("anonymous_bytes_after_pass", s.anonymous_bytes_read);
  }
  found.line(
      "publish: grouped, synced; ratio: over the first row's rate, without and with the sealing of the rows");
  found.line(
      fmt::format("open: in a fresh process, {} MiB of rows in the journal, file cached; ratios: over the "
                  "first row's times",
                  groups_in_journal));
  found.line("main read: one pass of pread over main/data.mdb, right before an opening of the killed store");
  found.line("anonymous memory: RssAnon of that process with the store open, and after a whole replay");
}

void compare_sizes(const std::filesystem::path& directory, const amounts& how_much, findings& found) {
  if (how_much.records_min > how_much.records_max) {
    throw std::runtime_error{"the smallest store is to be larger than the largest"};
  }
  const int rounds = found.smoke() ? rounds_smoke : rounds_full;
  std::vector<subject> subjects;
  for (std::uint64_t records = how_much.records_min; records <= how_much.records_max; records *= 10) {
    try {
      const std::uint64_t more = 2 * bus_options{}.journal_bytes_max;
      require_space(directory, records * disk_bytes_per_record + more);
    } catch (const std::runtime_error& e) {
      found.line(fmt::format("SKIPPED: {} records: {}", records, e.what()));
      break;
    }
    subject s;
    s.records = records;
    s.directory = directory / fmt::format("{}", records);
    fill(s);
    subjects.push_back(std::move(s));
  }
  if (subjects.empty()) return;
  measure_publishing(subjects, rounds);
  measure_opening(subjects, rounds);
  report(subjects, found);
}

}  // namespace

void ask_cost_with_size(suite& s) {
  const amounts how_much = s.options().studies;
  s.ask(study{
      .name = "cost_with_size",
      .text = fmt::format("cost with size: stores of {} to {} records of 100 bytes, {} partitions",
                          how_much.records_min, how_much.records_max, partitions),
      .answer = [=](const auto& directory, findings& found) { compare_sizes(directory, how_much, found); }});
}

}  // namespace levada::bench
