// A queue that holds very many messages: what it costs to open it, and to have it.

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
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

constexpr double memory_target = 64;  // MiB
/// Opening may take so many times as long as with a hundredth of the messages.
constexpr double opening_target = 2;
constexpr double mebibyte = 1 << 20;
constexpr std::size_t batch = 1'000;

bus open_deep(const std::filesystem::path& store) {
  bus_options o;
  o.durability = checkpointed{};
  return bus::open(store, o).value();
}

void fill(const std::filesystem::path& store, std::size_t messages) {
  bus b = open_deep(store);
  b.declare_queue("deep").value();
  std::vector<message> some;
  for (std::size_t i = 0; i < batch; ++i) some.emplace_back("", "deep", record{std::string{value_of(i)}});
  for (std::size_t done = 0; done < messages; done += batch) {
    stop_if_asked();
    (void)b.publish(some).value();
  }
  b.close().value();
}

struct opening {
  double milliseconds = 0;
  double mebibytes = 0;   // of anonymous memory, at the end
  double per_second = 0;  // received and acknowledged
};

/// Opens the store, and takes some messages.
opening open_and_take(const std::filesystem::path& store, std::size_t messages, std::size_t taken) {
  opening found;
  ::malloc_trim(0);  // what was freed before would hide what is taken now
  const double before = anonymous_bytes();
  const auto begin = std::chrono::steady_clock::now();
  bus b = open_deep(store);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  found.milliseconds = took.count();
  if (b.queue("deep").value().messages != messages) throw std::runtime_error{"messages are missing"};
  auto consumer = b.consume("deep", {.prefetch = batch}).value();
  const auto first = std::chrono::steady_clock::now();
  for (std::size_t n = 1; n <= taken; ++n) {
    const auto d = consumer.receive(std::chrono::milliseconds{0}).value();
    if (!d) throw std::runtime_error{"a message is missing"};
    if (n % batch == 0) consumer.ack_up_to(d->tag()).value();
  }
  const std::chrono::duration<double> taking = std::chrono::steady_clock::now() - first;
  found.per_second = static_cast<double>(taken) / taking.count();
  found.mebibytes = (anonymous_bytes() - before) / mebibyte;
  return found;
}

void answer(const std::filesystem::path& directory, findings& f, std::size_t messages) {
  const std::size_t fewer = std::max<std::size_t>(messages / 100, batch);
  fill(directory / "shallow", fewer);
  fill(directory / "deep", messages);
  const opening shallow = open_and_take(directory / "shallow", fewer, batch);
  const opening deep =
      open_and_take(directory / "deep", messages, std::min<std::size_t>(messages, 100 * batch));
  f.line(fmt::format("{} messages: opened in {:.1f} ms; {}: in {:.1f} ms, then {:.0f} a second received",
                     fewer, shallow.milliseconds, messages, deep.milliseconds, deep.per_second));
  f.at_most("opening", "opening, over that with a hundredth of the messages",
            deep.milliseconds / shallow.milliseconds, opening_target);
  f.at_most("memory", "MiB of anonymous memory, opened and in use", deep.mebibytes, memory_target);
}

}  // namespace

void ask_deep_queue(suite& s) {
  const auto messages = s.size<std::size_t>(10'000'000, 2 * batch);
  s.ask(study{.name = "deep_queue",
              .text = "a queue of ten million messages (checkpointed)",
              .answer = [=](const auto& directory, findings& f) { answer(directory, f, messages); }});
}

}  // namespace levada::bench
