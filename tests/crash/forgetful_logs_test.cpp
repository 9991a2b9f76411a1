#include <crash/forgetful_logs.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include <crash/recorder.hpp>
#include <crash/store_content.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

std::uint64_t gaps(const found_log& log) {
  std::uint64_t missing = 0;
  for (const found_partition& p : log.partitions) missing += p.end - p.begin - p.records.size();
  return missing;
}
std::uint64_t beginnings(const found_log& log) {
  std::uint64_t sum = 0;
  for (const found_partition& p : log.partitions) sum += p.begin;
  return sum;
}

// Whoever cuts the power for what is not done learns nothing.
TEST(ForgetfulLogs, AreCompactedRetainedTrimmedThinnedAndDeletedWithinARun) {
  recorder::skip_syncs();
  std::uint64_t compacted = 0;
  std::uint64_t retained = 0;
  std::uint64_t trimmed_away = 0;
  std::uint64_t thinned = 0;
  std::uint64_t deletions = 0;
  std::uint64_t merged = 0;
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    const test::temporary_directory directory;
    victim_options options;
    options.directory = directory / "store";
    options.seed = seed;
    history lines;
    run_victim(options, [&](const std::string& line) { lines.push_back(line); });
    for (const std::string& line : lines) deletions += line == "deleted topic:brief:1" ? 1 : 0;
    bus b = bus::open(options.directory).value();
    const store_content found = read_store(b, {});
    compacted += gaps(found.logs.at("state"));
    retained += beginnings(found.logs.at("recent"));
    trimmed_away += beginnings(found.logs.at("trimmed"));
    thinned += gaps(found.logs.at("news"));
    // Segments are numbered on.
    std::uint64_t files = 0;
    std::string last;
    for (const auto& file : std::filesystem::directory_iterator{options.directory / "segments"}) {
      last = std::max(last, file.path().stem().string());
      ++files;
    }
    merged += std::stoull(last, nullptr, 16) - files;
  }
  static_cast<void>(recorder::stop());
  EXPECT_GT(compacted, 20U);
  EXPECT_GT(retained, 20U);
  EXPECT_GT(trimmed_away, 10U);
  EXPECT_GT(thinned, 10U);
  EXPECT_GT(deletions, 2U);
  EXPECT_GT(merged, 40U);
}

}  // namespace
}  // namespace levada::crash
