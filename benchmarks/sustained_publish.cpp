// Durable publishing for long, with sealing in the background, beside the disk's own rate: the same chunks
// written to a plain file and flushed one by one.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/disk.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr std::uint32_t partitions = 8;
/// A slice holds four rounds of sealing. Only the last of them cannot go on beside publishing.
constexpr std::uint64_t slice_bytes_max = std::uint64_t{256} << 20;
/// Slices come in multiples of this, so that each quarter has as many.
constexpr std::uint64_t quarters = 4;
constexpr double ratio_target = 0.5;
constexpr double decay_target = 0.9;

using seconds = std::chrono::duration<double>;

struct slice {
  double levada = 0;
  double published = 0;  // the part of it after which all records were durable
  double raw = 0;
};

/// The disk's time over levada's: how much of the disk's rate levada reached.
double ratio(std::vector<slice>::const_iterator from, std::vector<slice>::const_iterator to) {
  slice sum;
  for (; from != to; ++from) {
    sum.levada += from->levada;
    sum.raw += from->raw;
  }
  return sum.raw / sum.levada;
}

class endurance {
 public:
  explicit endurance(const std::filesystem::path& directory)
      : bus_{bus::open(directory / "levada").value()},
        topic_{bus_.declare_topic("measured", {.partitions = partitions}).value()},
        batch_{topic_.make_batch()},
        chunk_bytes_{bytes_of_group()},
        raw_{directory / "raw", chunk_bytes_} {}

  [[nodiscard]] std::size_t chunk_bytes() const noexcept { return chunk_bytes_; }

  /// Both sides do the same, one after the other. A levada slice ends when the sealing that it made due is
  /// done: the background must not work on in the time of the other side.
  slice run(std::size_t groups, bool raw_first) {
    slice taken;
    if (raw_first) taken.raw = time([&] { raw_.append(groups); });
    taken.levada = time([&] {
      const auto begin = std::chrono::steady_clock::now();
      for (std::size_t i = 0; i < groups; ++i) {
        add_records(batch_, records_per_group);
        (void)topic_.publish(batch_).value();
      }
      taken.published = seconds{std::chrono::steady_clock::now() - begin}.count();
      bus_.maintain().value();
    });
    if (!raw_first) taken.raw = time([&] { raw_.append(groups); });
    return taken;
  }

  void close() { bus_.close().value(); }

 private:
  std::size_t bytes_of_group() {
    add_records(batch_, records_per_group);
    const std::size_t bytes = batch_.bytes();
    batch_.clear();
    return bytes;
  }

  template <class Work>
  static double time(Work&& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return seconds{std::chrono::steady_clock::now() - begin}.count();
  }

  bus bus_;
  topic topic_;
  publish_batch batch_;
  std::size_t chunk_bytes_;
  raw_file raw_;
};

void endure(const std::filesystem::path& directory, std::uint64_t bytes, findings& found) {
  // Both sides with their first slices; and the journal, also while it is sealed.
  require_space(directory, 2 * (bytes + slice_bytes_max) + 2 * bus_options{}.journal_bytes_max);
  endurance measured{directory};
  const std::uint64_t groups_wanted = std::max<std::uint64_t>(bytes / measured.chunk_bytes(), quarters);
  const std::uint64_t slices = (bytes / quarters / slice_bytes_max + 1) * quarters;
  const auto groups = static_cast<std::size_t>(groups_wanted / slices);
  found.line(fmt::format("{} slices of {} commits on either side; a commit: {} records, {} bytes encoded",
                         slices, groups, records_per_group, measured.chunk_bytes()));

  (void)measured.run(groups, false);
  std::vector<slice> taken;
  for (std::uint64_t i = 0; i < slices; ++i) {
    stop_if_asked();
    taken.push_back(measured.run(groups, i % 2 == 1));
  }
  measured.close();

  const auto slice_bytes = static_cast<double>(groups * measured.chunk_bytes());
  std::vector<double> ratios;
  std::vector<double> raw_rates;
  std::string levada_listed;
  std::string raw_listed;
  slice sum;
  for (const slice& one : taken) {
    sum.published += one.published;
    sum.raw += one.raw;
    ratios.push_back(one.raw / one.levada);
    raw_rates.push_back(slice_bytes / one.raw / 1e6);
    levada_listed += fmt::format(" {:5.0f}", slice_bytes / one.levada / 1e6);
    raw_listed += fmt::format(" {:5.0f}", slice_bytes / one.raw / 1e6);
  }
  const auto quarter = static_cast<std::ptrdiff_t>(taken.size() / quarters);
  const double first = ratio(taken.begin(), taken.begin() + quarter);
  const double last = ratio(taken.end() - quarter, taken.end());
  const double whole = ratio(taken.begin(), taken.end());
  const auto range = std::minmax_element(raw_rates.begin(), raw_rates.end());
  found.line(fmt::format("levada, MB/s, slice by slice:  {}", levada_listed));
  found.line(fmt::format("the disk, MB/s, beside it:     {}", raw_listed));
  found.line(
      fmt::format("the disk in these slices: {:.0f} to {:.0f} MB/s, median {:.0f}; "
                  "ratios of single slices: {}",
                  *range.first, *range.second, median(raw_rates), with_range(ratios)));
  found.line(fmt::format(
      "first quarter {:.2f}, last quarter {:.2f}; with values alone counted: {:.2f} of the disk", first, last,
      whole * static_cast<double>(records_per_group * value_of(0).size()) /
          static_cast<double>(measured.chunk_bytes())));
  found.line(fmt::format("without waiting, at the end of each slice, for the sealing it made due: {:.2f}",
                         sum.raw / sum.published));
  found.figure("ratio_without_wait", sum.raw / sum.published);
  found.figure("ratio_median", median(ratios));
  found.figure("raw_bytes_per_second", median(raw_rates) * 1e6);
  found.at_least("ratio", "rate over the disk's write and fdatasync, all slices", whole, ratio_target);
  found.at_least("decay", "last quarter over first quarter, each relative to the disk beside it",
                 last / first, decay_target);
}

}  // namespace

void ask_sustained_publish(suite& s) {
  const std::uint64_t bytes = s.options().studies.sustained_bytes;
  s.ask(study{.name = "sustained_publish",
              .text = fmt::format("sustained publish: {:.2f} GB of records of 100 bytes, {} partitions, "
                                  "sealed in the background",
                                  static_cast<double>(bytes) / 1e9, partitions),
              .answer = [=](const auto& directory, findings& found) { endure(directory, bytes, found); }});
}

}  // namespace levada::bench
