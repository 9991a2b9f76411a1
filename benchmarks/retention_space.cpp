// How much disk a topic takes whose size is limited, while many times that is published.

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/disk.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr std::uint32_t partitions = 8;
constexpr std::uint64_t limits_published = 4;
constexpr double ratio_target = 1.2;

void fill_and_watch(const std::filesystem::path& directory, std::uint64_t limit, findings& found) {
  require_space(directory, limit * 2 + 2 * bus_options{}.journal_bytes_max);
  const std::filesystem::path store = directory / "levada";
  bus opened = bus::open(store).value();
  const topic limited =
      opened.declare_topic("limited", {.partitions = partitions, .retention = {.bytes = limit}}).value();
  publish_batch batch = limited.make_batch();
  std::uint64_t published = 0;
  std::uint64_t largest = 0;
  std::uint64_t largest_at = 0;
  std::uint64_t largest_main = 0;
  while (published < limit * limits_published) {
    stop_if_asked();
    add_records(batch, records_per_group);
    const std::uint64_t bytes = batch.bytes();
    (void)limited.publish(batch).value();
    published += bytes;
    const std::uint64_t used = disk_use(store);
    if (used > largest) {
      largest = used;
      largest_at = published;
      largest_main = disk_use(store / "main");
    }
  }
  opened.maintain().value();
  const std::uint64_t at_end = disk_use(store);
  opened.close().value();
  const auto megabytes = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  const auto limits = [limit](std::uint64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(limit);
  };
  found.line(
      fmt::format("largest {:.0f} MB, of which main {:.0f} MB, after {:.0f} MB of {:.0f} had been published; "
                  "looked at after each commit",
                  megabytes(largest), megabytes(largest_main), megabytes(largest_at), megabytes(published)));
  found.line(
      fmt::format("when all is done {:.0f} MB: {:.2f} of the limit", megabytes(at_end), limits(at_end)));
  found.figure("ratio_at_end", limits(at_end));
  found.figure("main_bytes", static_cast<double>(largest_main));
  found.at_most("ratio", "largest disk use of the store over retention.bytes", limits(largest), ratio_target);
}

}  // namespace

void ask_retention_space(suite& s) {
  const std::uint64_t limit = s.options().studies.retention_bytes;
  s.ask(study{
      .name = "retention_space",
      .text = fmt::format("retention's space: retention.bytes = {:.0f} MiB, {} times that published",
                          static_cast<double>(limit) / (1 << 20), limits_published),
      .answer = [=](const auto& directory, findings& found) { fill_and_watch(directory, limit, found); }});
}

}  // namespace levada::bench
