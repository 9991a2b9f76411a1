// levada against raw LMDB, side by side in one run: what levada's records, checksums, offsets and group
// commit cost.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string_view>
#include <vector>

#include "questions.hpp"
#include "support/machine.hpp"
#include "support/suite.hpp"

namespace {

constexpr std::string_view usage =
    "usage: levada_bench [--smoke] [--dir <directory>] [--benchmark_<option>=<value>...]\n"
    "\n"
    "  --smoke            run everything as briefly as possible, to see that it runs\n"
    "  --dir <directory>  where stores are made and removed again; on the disk to be measured\n"
    "                     (default: $LEVADA_BENCH_DIR, or else the current directory)\n"
    "  --benchmark_filter=<regex>, --benchmark_list_tests=true, --benchmark_out=<file> (JSON) and the like\n"
    "                     go to Google Benchmark; repetitions and iterations are fixed\n";

constexpr std::string_view method =
    "Pairs: both sides do the same work on the same stored rows, in turn, in changing order; median of 7\n"
    "repetitions. The raw side appends prepared rows to one named table, with levada's flags and map size. "
    "The raw\n"
    "scan adds up every 8-byte word of every row; levada's passes verify every checksum, copy, and add up "
    "the first\n"
    "8 bytes of every value.\n";

void print_flush(const char* when, const std::filesystem::path& directory) {
  const levada::bench::flush_latency flush = levada::bench::measure_flush(directory);
  fmt::print("Disk {}: 4 KiB appended and flushed in {:.0f} us (median), {:.0f} us (p90).\n", when,
             flush.median, flush.p90);
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  const char* const from_environment = std::getenv("LEVADA_BENCH_DIR");
  levada::bench::suite_options options{.directory = from_environment != nullptr ? from_environment : "."};
  std::vector<char*> others{argv[0]};
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--smoke") {
      options.smoke = true;
    } else if (argument == "--dir" && i + 1 < argc) {
      options.directory = argv[++i];
    } else if (argument.starts_with("--benchmark_")) {
      others.push_back(argv[i]);
    } else {
      const bool asked = argument == "--help";
      fmt::print(asked ? stdout : stderr, "{}", usage);
      return asked ? 0 : 2;
    }
  }
  int others_count = static_cast<int>(others.size());
  benchmark::Initialize(&others_count, others.data());
  if (benchmark::ReportUnrecognizedArguments(others_count, others.data())) return 2;

  levada::bench::suite suite{options};
  levada::bench::ask_durable_publish(suite);
  levada::bench::ask_grouped_publish(suite);
  levada::bench::ask_consume(suite);
  levada::bench::ask_replay(suite);

  fmt::print("{}{}", levada::bench::describe_machine(options.directory), method);
  print_flush("before", options.directory);
  const bool complete = suite.run();
  print_flush("after", options.directory);
  return complete ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "levada_bench: {}\n", e.what());
    return 1;
  }
}
