// levada against raw LMDB, side by side in one run: what levada's records, checksums, offsets and group
// commit cost.

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <lmdb.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "questions.hpp"
#include "support/machine.hpp"
#include "support/open_probe.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace {

constexpr std::string_view usage =
    "usage: levada_bench [--smoke] [--long] [--dir <directory>] [<amount>...] "
    "[--benchmark_<option>=<value>...]\n"
    "\n"
    "  --smoke            run everything as briefly as possible, to see that it runs\n"
    "  --long             ask the questions that write gigabytes and take minutes, in place of the others\n"
    "  --dir <directory>  where stores are made and removed again; on the disk to be measured\n"
    "                     (default: $LEVADA_BENCH_DIR, or else the current directory)\n"
    "  --benchmark_filter=<regex>, --benchmark_list_tests=true, --benchmark_out=<file> (JSON) and the like\n"
    "                     go to Google Benchmark; repetitions and iterations are fixed\n"
    "\n"
    "Amounts, for the long questions; k, M, G mean powers of 1,000, Ki, Mi, Gi of 1,024:\n"
    "  --sustained-bytes <n>  encoded records that sustained_publish writes (default: 2G)\n"
    "  --deleted-bytes <n>    size of the topic that topic_deletion deletes (default: 500M)\n"
    "  --retention-bytes <n>  limit in retention_space, which publishes four times as much (default: 1Gi)\n"
    "  --records-min <n>      the smallest store of cost_with_size (default: 1M); each next has ten times "
    "as\n"
    "  --records-max <n>      many records, up to this (default: 10M; 100M takes about 13 GB of disk)\n";

constexpr std::string_view durability =
    "Durability: sync on both sides (every commit is flushed before it returns), but where a line says\n"
    "checkpointed: there raw LMDB never flushes (MDB_NOSYNC), and both stores lie in memory, at /dev/shm.\n";

constexpr std::string_view method_of_pairs =
    "Pairs: both sides do the same work on the same stored rows, in turn, in changing order; median of 7\n"
    "repetitions. The raw side appends prepared rows to one named table, with levada's flags and map size. "
    "The raw\n"
    "scan adds up every 8-byte word of every row; levada's passes verify every checksum, copy, and add up "
    "the first\n"
    "8 bytes of every value. Nothing is sealed while pairs are timed, but where a line says sealed: there "
    "levada's\n"
    "side ends when it is done.\n";

constexpr std::string_view method_of_studies =
    "Studies: what is compared takes turns in one run, in slices of equal work; all memory is touched "
    "before.\n";

/// "2G", "64Mi", "1000".
std::optional<std::uint64_t> parse_amount(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || number == 0) return std::nullopt;
  std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  if (unit.empty()) return number;
  const std::uint64_t base = unit.ends_with('i') ? 1024 : 1000;
  if (base == 1024) unit.remove_suffix(1);
  constexpr std::string_view prefixes = "kMG";
  const std::size_t power = unit == "K" ? 0 : prefixes.find(unit);
  if (unit.size() != 1 || power == std::string_view::npos) return std::nullopt;
  for (std::size_t i = 0; i <= power; ++i) number *= base;
  return number;
}

/// The amount that an option of this name sets, or nullptr.
std::uint64_t* amount_of(levada::bench::amounts& all, std::string_view option) {
  if (option == "--sustained-bytes") return &all.sustained_bytes;
  if (option == "--deleted-bytes") return &all.deleted_bytes;
  if (option == "--retention-bytes") return &all.retention_bytes;
  if (option == "--records-min") return &all.records_min;
  if (option == "--records-max") return &all.records_max;
  return nullptr;
}

void print_flush(const char* when, const std::filesystem::path& directory) {
  fmt::print("{}", levada::bench::describe(levada::bench::measure_flush(directory), when));
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  const char* const from_environment = std::getenv("LEVADA_BENCH_DIR");
  levada::bench::suite_options options{.directory = from_environment != nullptr ? from_environment : "."};
  bool ask_long = false;
  if (argc == 4 && std::string_view{argv[1]} == "--open-probe") {
    return levada::bench::serve_open_probe(argv[2], argv[3]);
  }
  // Amounts that are given hold in a smoke run as well.
  const auto has = [&](std::string_view option) {
    return std::find(argv + 1, argv + argc, option) != argv + argc;
  };
  if (has("--smoke")) options.studies = levada::bench::amounts_smoke;
  std::vector<char*> others{argv[0]};
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--smoke") {
      options.smoke = true;
    } else if (argument == "--long") {
      ask_long = true;
    } else if (argument == "--dir" && i + 1 < argc) {
      options.directory = argv[++i];
    } else if (std::uint64_t* const amount = amount_of(options.studies, argument);
               amount != nullptr && i + 1 < argc && parse_amount(argv[i + 1])) {
      *amount = *parse_amount(argv[++i]);
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
  if (!ask_long || options.smoke) {
    levada::bench::ask_durable_publish(suite);
    levada::bench::ask_grouped_publish(suite);
    levada::bench::ask_checkpointed_publish(suite);
    levada::bench::ask_producer_publish(suite);
    levada::bench::ask_consume(suite);
    levada::bench::ask_replay(suite);
    levada::bench::ask_parallel_replay(suite);
    levada::bench::ask_delivery_latency(suite);
    levada::bench::ask_many_publishers(suite);
    levada::bench::ask_groups_at_rest(suite);
    levada::bench::ask_bystanders(suite);
    levada::bench::ask_routing(suite);
    levada::bench::ask_fan_out(suite);
    levada::bench::ask_delayed(suite);
    levada::bench::ask_backfill(suite);
    levada::bench::ask_work_queue(suite);
    levada::bench::ask_flow_ledger(suite);
  }
  if (ask_long || options.smoke) {
    levada::bench::ask_sustained_publish(suite);
    levada::bench::ask_cost_with_size(suite);
    levada::bench::ask_deep_queue(suite);
    levada::bench::ask_topic_deletion(suite);
    levada::bench::ask_retention_space(suite);
    levada::bench::ask_write_ahead_file(suite);
    levada::bench::ask_large_commits(suite);
  }

  fmt::print("{}{}\n{}{}{}", levada::bench::describe_machine(options.directory),
             mdb_version(nullptr, nullptr, nullptr), durability, ask_long ? "" : method_of_pairs,
             method_of_studies);
  levada::bench::note_signals();
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
