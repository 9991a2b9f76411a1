// The victim as a program: `write DIR` works on a store and prints its history, `check DIR HISTORY` compares.

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include <crash/arguments.hpp>
#include <crash/check.hpp>
#include <crash/victim.hpp>

namespace {

using namespace levada::crash;

constexpr const char* usage =
    "usage: levada_victim write DIR [--history logs|queues] [--seed N] [--run N] [--operations N] "
    "[--operations-per-life N]\n"
    "                               [--threads N] [--sealing on-call|in-background]\n"
    "                               [--durability sync|checkpointed] [--boot-id ID] [--planted FAULT]\n"
    "       levada_victim check DIR HISTORY [--after process-death|power-cut]\n"
    "                               [--durability sync|checkpointed] [--boot-id ID] [--seal 0|1] [--use "
    "0|1]\n"
    "After a power cut the boot id must be another one than the writer's.\n"
    "FAULT: ack-before-publish, ack-without-publish, settle-without-ack, commit-without-commit,\n"
    "dead-letter-in-two-steps\n";

/// One system call a line, so that a line is whole or not there.
void print_line(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error{"standard output takes no more"};
  }
}

int write(arguments& given) {
  victim_options options;
  options.directory = given.positional("DIR");
  options.work = given.work();
  options.seed = given.number("--seed", options.seed);
  options.run = static_cast<std::uint32_t>(given.number("--run", options.run));
  options.operations = given.number("--operations", options.operations);
  options.operations_per_life = given.number("--operations-per-life", options.operations_per_life);
  options.threads = static_cast<std::uint32_t>(given.number("--threads", options.threads));
  options.seals = given.seals();
  options.mode = given.mode();
  options.boot_id = given.text("--boot-id").value_or(options.boot_id);
  options.planted = given.planted();
  given.end();
  run_victim(options, print_line);
  return 0;
}

aftermath after(arguments& given) {
  const auto what = given.text("--after");
  if (!what || *what == "process-death") return aftermath::process_death;
  if (*what == "power-cut") return aftermath::power_cut;
  throw std::invalid_argument{"it is after process-death or power-cut, not '" + *what + "'"};
}

int check_history(arguments& given) {
  const std::string directory = given.positional("DIR");
  const std::string file = given.positional("HISTORY");
  check_options options;
  options.of = after(given);
  options.mode = given.mode();
  options.boot_id = given.text("--boot-id").value_or(options.boot_id);
  options.seal = given.number("--seal", 0) != 0;
  options.use_afterwards = given.number("--use", 0) != 0;
  given.end();
  const auto violations = check(directory, read_history(file), options).violations;
  for (const std::string& v : violations) std::printf("%s\n", v.c_str());
  std::printf("violations: %zu\n", violations.size());
  return violations.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    arguments given{argc, argv};
    const std::string command = given.positional("command");
    if (command == "write") return write(given);
    if (command == "check") return check_history(given);
    throw std::invalid_argument{"unknown command '" + command + "'"};
  } catch (const std::invalid_argument& e) {
    std::fprintf(stderr, "levada_victim: %s\n%s", e.what(), usage);
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "levada_victim: %s\n", e.what());
    return 3;
  }
}
