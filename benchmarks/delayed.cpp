// Messages with a delay: how late they come, also behind a million others that wait, and what these take.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/memory.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

using std::chrono::milliseconds;

constexpr double late_target = 5;     // milliseconds
constexpr double memory_target = 64;  // MiB
constexpr double mebibyte = 1 << 20;
constexpr std::size_t batch = 1'000;

/// Has messages wait that come long after the measurement.
void fill(bus& b, std::size_t count) {
  std::vector<message> some;
  for (std::size_t i = 0; i < batch; ++i) some.emplace_back("", "far", record{std::string{value_of(i)}});
  for (std::size_t done = 0; done < count; done += batch) {
    stop_if_asked();
    (void)b.publish(some, {.delay = std::chrono::hours{24} + milliseconds{done}}).value();
  }
}

/// How many milliseconds after their time messages are received, sorted. Their time counts from before they
/// were published.
std::vector<double> lateness(bus& b, std::size_t count) {
  auto consumer = b.consume("near").value();
  std::vector<std::chrono::steady_clock::time_point> due;
  for (std::size_t i = 0; i < count; ++i) {
    const milliseconds delay{200 + (i * 7'919) % 1'000};
    due.push_back(std::chrono::steady_clock::now() + delay);
    (void)b.publish("", "near", record{std::to_string(i), std::string{value_of(i)}}, {.delay = delay})
        .value();
  }
  std::vector<double> late;
  while (late.size() < count) {
    stop_if_asked();
    auto d = consumer.receive(std::chrono::seconds{20}).value();
    if (!d) throw std::runtime_error{"a delayed message has not come"};
    const auto when = due.at(std::stoul(std::string{d->record().key()}));
    late.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - when).count());
    consumer.ack(*d).value();
  }
  std::sort(late.begin(), late.end());
  return late;
}

void answer(const std::filesystem::path& directory, findings& f, std::size_t pending, std::size_t measured) {
  bus b = bus::open(directory / "store", unsealed(checkpointed{std::chrono::hours{1}})).value();
  b.declare_queue("near").value();
  b.declare_queue("far").value();
  const auto tell = [&](const char* name, const std::vector<double>& late) {
    const auto at = [&](double share) {
      return late[static_cast<std::size_t>(share * static_cast<double>(late.size() - 1))];
    };
    f.line(fmt::format("{}: late by {:.2f} ms (median), {:.2f} (p99), {:.2f} (worst) of {}", name, at(0.5),
                       at(0.99), at(1), late.size()));
    return at(0.99);
  };
  const double alone = tell("nothing else waits", lateness(b, measured));
  const double before = anonymous_bytes();
  const auto begin = std::chrono::steady_clock::now();
  fill(b, pending);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const double grown = (anonymous_bytes() - before) / mebibyte;
  const double behind = tell("behind those that wait", lateness(b, measured));
  f.line(fmt::format("{} wait; they were published at {:.0f} a second", b.stats().value().queues.delayed,
                     static_cast<double>(pending) / took.count()));
  f.at_most("alone", "ms late, p99, where nothing else waits", alone, late_target);
  f.at_most("behind", "ms late, p99, behind those that wait", behind, late_target);
  f.at_most("memory", "MiB of anonymous memory that those that wait have added", grown, memory_target);
}

}  // namespace

void ask_delayed(suite& s) {
  const auto pending = s.size<std::size_t>(1'000'000, batch);
  const auto measured = s.size<std::size_t>(1'000, 20);
  s.ask(study{
      .name = "delayed",
      .text = "messages with a delay: how late they come, and what a million of them take, checkpointed",
      .answer = [=](const auto& directory, findings& f) { answer(directory, f, pending, measured); }});
}

}  // namespace levada::bench
