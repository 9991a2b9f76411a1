// A queue that is bound from the beginning of an exchange's log: how fast the past is entered, and what lone
// publishers notice.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

using std::chrono::steady_clock;

constexpr double rate_target = 1;   // of the rate of publishing to one queue
constexpr double pause_target = 5;  // milliseconds
constexpr std::size_t batch = 1'000;

/// Publishes so many; returns how many a second that were.
double publish(bus& b, const std::string& exchange, std::size_t count) {
  std::vector<message> some;
  for (std::size_t i = 0; i < batch; ++i) some.emplace_back(exchange, "", record{std::string{value_of(i)}});
  const auto begin = steady_clock::now();
  for (std::size_t done = 0; done < count; done += batch) {
    stop_if_asked();
    (void)b.publish(some).value();
  }
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  return static_cast<double>(count) / took.count();
}

/// Binds a queue from the beginning, and publishes to it one message after the other until all
/// has come; returns how many a second came, and how many milliseconds the publishes took, sorted.
double bind_from_the_beginning(bus& b, std::size_t count, std::vector<double>& publishes) {
  const auto begin = steady_clock::now();
  b.bind("past", "late", "", {}, {.from = from_earliest{}}).value();
  do {
    stop_if_asked();
    const auto before = steady_clock::now();
    (void)b.publish("past", "", record{std::string{value_of(publishes.size())}}).value();
    publishes.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - before).count());
  } while (b.queue("late").value().backfill > 0);
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  std::sort(publishes.begin(), publishes.end());
  return static_cast<double>(count) / took.count();
}

void answer(const std::filesystem::path& directory, findings& f, std::size_t past) {
  bus b = bus::open(directory / "store", unsealed(checkpointed{std::chrono::hours{1}})).value();
  for (const char* const name : {"past", "live"})
    b.declare_exchange(name, {.type = exchange_type::fanout}).value();
  for (const char* const name : {"early", "late"}) b.declare_queue(name).value();
  b.bind("live", "early", "").value();
  (void)publish(b, "past", past);
  const double live = publish(b, "live", past);
  std::vector<double> publishes;
  const double entered = bind_from_the_beginning(b, past, publishes);
  const auto at = [&](double share) {
    return publishes[static_cast<std::size_t>(share * static_cast<double>(publishes.size() - 1))];
  };
  f.line(fmt::format("{:.0f} messages a second are entered; published to a queue, {:.0f}", entered, live));
  f.line(fmt::format("{} lone publishes meanwhile: {:.3f} ms (median), {:.3f} (p99), {:.3f} (worst)",
                     publishes.size(), at(0.5), at(0.99), at(1)));
  f.at_least("rate", "times the rate of publishing to one queue", entered / live, rate_target);
  f.at_most("pause", "ms, p99, that a lone publish takes meanwhile", at(0.99), pause_target);
}

}  // namespace

void ask_backfill(suite& s) {
  const auto past = s.size<std::size_t>(1'000'000, 10 * batch);
  s.ask(study{
      .name = "backfill",
      .text = "a queue that is bound from the beginning of a log, and who publishes meanwhile, checkpointed",
      .answer = [=](const auto& directory, findings& f) { answer(directory, f, past); }});
}

}  // namespace levada::bench
