// The long form of the tests against the model, and of those with many threads: as many seeds, or as long, as
// wanted.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include <crash/arguments.hpp>

#include "model_walk.hpp"
#include "stress.hpp"

namespace {

using namespace levada::test;

constexpr const char* usage =
    "usage: levada_model_campaign walk [--seeds N] [--operations N] [--seed FIRST]\n"
    "       levada_model_campaign stress [--seconds N] [--seed N]\n"
    "Exits with 0 when nothing is violated. Stores are made under TMPDIR: a tmpfs is fastest.\n";

unsigned long long printable(std::uint64_t n) {
  return n;
}

int walk(levada::crash::arguments& given) {
  const std::uint64_t seeds = given.number("--seeds", 100'000);
  const std::uint64_t operations = given.number("--operations", 1000);
  const std::uint64_t first = given.number("--seed", 1);
  given.end();
  std::uint64_t violations = 0;
  walk_counts counts;
  for (std::uint64_t i = 0; i < seeds; ++i) {
    const std::uint64_t seed = first + i;
    if (const auto wrong = walk_once(static_cast<std::uint32_t>(seed), operations, counts); !wrong.empty()) {
      ++violations;
      std::printf("violation, to be repeated with --seeds 1 --seed %llu --operations %llu\n%s\n",
                  printable(seed), printable(operations), wrong.c_str());
    }
    if ((i + 1) % 1000 == 0) {
      std::printf("%llu seeds, %llu in violation\n", printable(i + 1), printable(violations));
    }
    std::fflush(stdout);
  }
  std::printf("%llu seeds from %llu of %llu operations each, %llu in violation\n", printable(seeds),
              printable(first), printable(operations), printable(violations));
  std::printf("%s", to_text(counts).c_str());
  return violations == 0 && seeds > 0 ? 0 : 1;
}

int stress(levada::crash::arguments& given) {
  stress_options options;
  options.time = std::chrono::seconds{given.number("--seconds", 60)};
  options.seed = given.number("--seed", options.seed);
  given.end();
  const auto summary = run_stress(options);
  std::printf("%s", to_text(summary).c_str());
  return summary.violations.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    levada::crash::arguments given{argc, argv};
    const std::string command = given.positional("command");
    if (command == "walk") return walk(given);
    if (command == "stress") return stress(given);
    throw std::invalid_argument{"unknown command '" + command + "'"};
  } catch (const std::invalid_argument& e) {
    std::fprintf(stderr, "levada_model_campaign: %s\n%s", e.what(), usage);
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "levada_model_campaign: %s\n", e.what());
    return 3;
  }
}
