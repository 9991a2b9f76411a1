#include "support/open_probe.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include <levada/bus.hpp>

#include "support/disk.hpp"
#include "support/memory.hpp"
#include "support/reading.hpp"
#include "support/stores.hpp"

namespace levada::bench {
namespace {

constexpr std::string_view end_names[] = {"close", "kill", "read"};

template <class Work>
double milliseconds(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>{std::chrono::steady_clock::now() - begin}.count();
}

void read_all(const bus& opened) {
  replay pass = opened.replay("measured").value();
  for (;;) {
    const record_batch batch = pass.next().value();
    if (batch.empty()) return;
    reading done;
    done.look_at(batch);
  }
}

struct spawned {
  pid_t pid;
  int out;
};

spawned spawn(const std::string& store, const std::string& end) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error{errno, std::generic_category(), "make pipe"};
  }
  std::string name = "levada_bench";
  std::string option = "--open-probe";
  std::string path = store;
  std::string how = end;
  std::array<char*, 5> arguments{name.data(), option.data(), path.data(), how.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t pid = 0;
  const int code = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (code != 0) {
    ::close(ends[0]);
    throw std::system_error{code, std::generic_category(), "run open probe"};
  }
  return {pid, ends[0]};
}

}  // namespace

int serve_open_probe(const std::filesystem::path& store, std::string_view end) {
  const std::filesystem::path main = store / "main" / "data.mdb";
  open_sample sample;
  sample.main_bytes = static_cast<double>(read_through(main));
  sample.read_milliseconds = milliseconds([&] { (void)read_through(main); });
  sample.anonymous_bytes_before = anonymous_bytes();
  std::optional<bus> opened;
  sample.open_milliseconds = milliseconds([&] { opened.emplace(bus::open(store).value()); });
  if (end == end_names[static_cast<std::size_t>(probe_end::read)]) {
    read_all(*opened);
  } else {
    (void)opened->publish("measured", record{std::string{value_of(0)}}).value();
  }
  sample.anonymous_bytes = anonymous_bytes();
  fmt::print("{} {} {} {} {}\n", sample.read_milliseconds, sample.main_bytes, sample.open_milliseconds,
             sample.anonymous_bytes_before, sample.anonymous_bytes);
  std::fflush(stdout);
  if (end == end_names[static_cast<std::size_t>(probe_end::kill)]) ::raise(SIGKILL);
  opened->close().value();
  return 0;
}

open_sample probe_open(const std::filesystem::path& store, probe_end end) {
  const spawned child = spawn(store.string(), std::string{end_names[static_cast<std::size_t>(end)]});
  std::FILE* const out = ::fdopen(child.out, "r");
  open_sample sample;
  const int fields = out == nullptr ? 0
                                    : std::fscanf(out, "%lf %lf %lf %lf %lf", &sample.read_milliseconds,
                                                  &sample.main_bytes, &sample.open_milliseconds,
                                                  &sample.anonymous_bytes_before, &sample.anonymous_bytes);
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (out != nullptr) std::fclose(out);
  const bool ended_as_told = end == probe_end::kill ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                                    : WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (fields != 5 || !ended_as_told) {
    throw std::runtime_error{fmt::format("open probe of '{}' ended with status {}", store.string(), status)};
  }
  return sample;
}

}  // namespace levada::bench
