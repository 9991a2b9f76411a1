#include <crash/kill.hpp>

#include <fmt/format.h>

#include <csignal>

#include <support/child_process.hpp>
#include <support/result_testing.hpp>

namespace levada::crash {

void stay_busy(std::chrono::microseconds how_long) {
  const auto until = std::chrono::steady_clock::now() + how_long;
  while (std::chrono::steady_clock::now() < until) {
  }
}

kill_moment draw_moment(std::mt19937_64& random, std::size_t lines_max) {
  kill_moment when;
  when.lines = random() % lines_max;
  when.delay = std::chrono::microseconds{random() % 3000};
  return when;
}

std::string run_and_kill(const kill_moment& when, const std::function<int(const saying&)>& live,
                         const std::function<void(const std::string&, bool)>& heard) {
  test::child_process child{live};
  bool ended = false;
  const auto hear = [&](bool before) {
    const std::string line = child.read_line();
    ended = line.empty();
    if (!ended) heard(line, before);
  };
  for (std::size_t told = 0; told < when.lines && !ended; ++told) hear(true);
  stay_busy(when.delay);
  child.kill(SIGKILL);
  while (!ended) hear(false);
  const int code = child.wait();
  return code == 128 + SIGKILL ? std::string{} : fmt::format("a process ended by itself, with code {}", code);
}

std::string run_to_end(const char* what, const std::function<int(const saying&)>& live, const saying& heard) {
  test::child_process child{live};
  for (auto line = child.read_line(); !line.empty(); line = child.read_line()) heard(line);
  const int code = child.wait();
  return code == 0 ? std::string{} : fmt::format("{} ended with code {}", what, code);
}

bus open_store(const std::filesystem::path& store, bool checkpoints, std::chrono::milliseconds between) {
  bus_options options;
  options.journal_bytes_seal = 64 << 10;
  if (checkpoints) options.durability = checkpointed{between};
  return test::ok(bus::open(store, options));
}

}  // namespace levada::crash
