// What publishers notice of those who look on: a job of another process that reads all there is again and
// again, and copies of the whole store. Lone publishes in memory, without flushes, so that a delay is seen.

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <levada/attachment.hpp>
#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/disk.hpp"
#include "support/scratch_directory.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr double delay_target_milliseconds = 1;
constexpr std::uint64_t memory_bytes = std::uint64_t{1} << 30;

/// Another process that reads a store from its beginning again and again while it is told to.
class onlooker {
 public:
  /// To be made before the store is opened in this process.
  explicit onlooker(const std::filesystem::path& store) {
    if (::pipe(orders_.data()) != 0 || ::pipe(answers_.data()) != 0)
      throw std::system_error{errno, std::generic_category(), "pipe"};
    pid_ = ::fork();
    if (pid_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
    if (pid_ == 0) {
      ::close(orders_[1]);
      ::close(answers_[0]);
      int status = 0;
      try {
        serve(store);
      } catch (const std::exception& e) {
        fmt::print(stderr, "levada_bench: {}\n", e.what());
        status = 1;
      }
      ::_exit(status);
    }
    ::close(orders_[0]);
    ::close(answers_[1]);
  }
  onlooker(const onlooker&) = delete;
  onlooker& operator=(const onlooker&) = delete;
  ~onlooker() {
    ::close(orders_[1]);
    ::close(answers_[0]);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  /// Begins or ends reading; returns when it has.
  void order(char what) {
    char answer = 0;
    if (::write(orders_[1], &what, 1) != 1 || ::read(answers_[0], &answer, 1) != 1)
      throw std::runtime_error{"the process that reads along has ended"};
  }

 private:
  void serve(const std::filesystem::path& store) {
    char what = 0;
    while (::read(orders_[0], &what, 1) == 1) {
      const auto attached = attachment::open(store).value();
      if (::write(answers_[1], &what, 1) != 1) return;
      for (bool stopped = false; !stopped;) {
        auto pass = attached.replay_all({.until = until_latest{}}).value();
        while (!stopped && !pass.ended()) {
          (void)pass.next().value();
          struct pollfd next_order {};
          next_order.fd = orders_[0];
          next_order.events = POLLIN;
          stopped = ::poll(&next_order, 1, 0) != 0;
        }
      }
      if (::read(orders_[0], &what, 1) != 1 || ::write(answers_[1], &what, 1) != 1) return;
    }
  }

  std::array<int, 2> orders_{};
  std::array<int, 2> answers_{};
  pid_t pid_ = -1;
};

/// Microseconds of each publish, sorted at the end.
struct latencies {
  std::vector<double> all;

  void sort() { std::sort(all.begin(), all.end()); }
  [[nodiscard]] double at(double share) const {
    return all[std::min(all.size() - 1, static_cast<std::size_t>(share * static_cast<double>(all.size())))];
  }
  [[nodiscard]] std::string text() const {
    return fmt::format("p50 {:.1f} us, p99 {:.1f} us, p99.9 {:.1f} us, largest {:.0f} us", at(0.5), at(0.99),
                       at(0.999), all.back());
  }
};

void publish_alone(const topic& where, std::size_t publishes, latencies& into) {
  for (std::size_t i = 0; i < publishes; ++i) {
    const record r{std::string{value_of(i)}};
    const auto begin = std::chrono::steady_clock::now();
    (void)where.publish(r).value();
    into.all.push_back(
        std::chrono::duration<double, std::micro>{std::chrono::steady_clock::now() - begin}.count());
  }
}

void look_on(findings& found) {
  const scratch_directory memory{memory_directory};
  const std::filesystem::path store = memory.path() / "store";
  onlooker reader{store};
  auto owner = bus::open(store, {.durability = checkpointed{}}).value();
  const auto measured = owner.declare_topic("measured").value();
  // Something to read: some of it sealed, some not.
  auto batch = measured.make_batch();
  for (int i = 0; i < (found.smoke() ? 2 : 100); ++i) {
    add_records(batch, records_per_group);
    (void)measured.publish(batch).value();
  }
  owner.maintain().value();

  const std::size_t slices = found.smoke() ? 2 : 20;
  const std::size_t publishes = found.smoke() ? 50 : 5'000;
  latencies alone;
  latencies beside_reader;
  latencies beside_copy;
  for (std::size_t i = 0; i < slices; ++i) {
    stop_if_asked();
    publish_alone(measured, publishes, alone);
    reader.order('r');
    publish_alone(measured, publishes, beside_reader);
    reader.order('s');
    std::atomic<bool> enough{false};
    std::size_t copies = 0;
    std::thread copying{[&] {
      while (!enough) {
        const auto to = memory.path() / fmt::format("copy {} {}", i, copies++);
        (void)owner.backup(to).value();
        std::filesystem::remove_all(to);
      }
    }};
    publish_alone(measured, publishes, beside_copy);
    enough = true;
    copying.join();
  }
  owner.close().value();

  for (latencies* const l : {&alone, &beside_reader, &beside_copy}) l->sort();
  found.line("a lone publish, alone:                  " + alone.text());
  found.line("  while a job of another process reads: " + beside_reader.text());
  found.line("  while copies of the store are made:   " + beside_copy.text());
  found.figure("alone_p50_us", alone.at(0.5));
  found.figure("beside_reader_p50_us", beside_reader.at(0.5));
  found.figure("beside_copy_p50_us", beside_copy.at(0.5));
  const auto delay = [&](const latencies& beside) { return (beside.at(0.999) - alone.at(0.999)) / 1000; };
  found.figure("copy_delay_ms", delay(beside_copy));
  found.at_most("reader_delay_ms", "p99.9 beside the reader less p99.9 alone, in milliseconds",
                delay(beside_reader), delay_target_milliseconds);
}

}  // namespace

void ask_bystanders(suite& s) {
  s.ask(study{.name = "bystanders",
              .text = "bystanders: a process that reads along, and copies (checkpointed, in memory)",
              .answer = [](const auto&, findings& found) {
                if (const std::string lack = lack_of_memory(memory_bytes); !lack.empty()) {
                  found.line("SKIPPED: " + lack);
                  return;
                }
                look_on(found);
              }});
}

}  // namespace levada::bench
