// One queue from end to end: a thousand messages are published, received and acknowledged, again and again.

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr double checkpointed_target = 500'000;  // messages a second
constexpr double synced_target = 100'000;
constexpr std::size_t in_flight = 1'000;

class line {
 public:
  line(const std::filesystem::path& store, const decltype(bus_options::durability)& durability)
      : bus_{bus::open(store, unsealed(durability)).value()} {
    bus_.declare_queue("work").value();
    consumer_.emplace_back(bus_.consume("work", {.prefetch = in_flight}).value());
    for (std::size_t i = 0; i < in_flight; ++i)
      messages_.emplace_back("", "work", record{std::string{value_of(i)}});
  }
  /// Messages a second, over so many rounds.
  double run(std::size_t rounds) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < rounds; ++i) {
      (void)bus_.publish(messages_).value();
      delivery last;
      for (std::size_t m = 0; m < in_flight; ++m) {
        auto d = consumer_.front().receive(std::chrono::milliseconds{0}).value();
        if (!d) throw std::runtime_error{"a message is missing"};
        last = std::move(*d);
      }
      consumer_.front().ack_up_to(last.tag()).value();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(rounds * in_flight) / took.count();
  }

 private:
  bus bus_;
  std::vector<queue_consumer> consumer_;
  std::vector<message> messages_;
};

void answer(const std::filesystem::path& directory, findings& f, std::size_t turns, std::size_t rounds) {
  line with_checkpoints{directory / "checkpointed", checkpointed{std::chrono::hours{1}}};
  line flushed{directory / "synced", synced{}};
  std::vector<double> fast;
  std::vector<double> safe;
  for (std::size_t i = 0; i <= turns; ++i) {
    stop_if_asked();
    const double a = with_checkpoints.run(rounds);
    const double b = flushed.run(rounds);
    if (i == 0) continue;  // touches memory
    fast.push_back(a);
    safe.push_back(b);
  }
  f.line(fmt::format("messages a second, {} in flight: checkpointed {}, synced {}", in_flight,
                     with_range(fast), with_range(safe)));
  f.at_least("checkpointed", "published, delivered, acknowledged a second, checkpointed", median(fast),
             checkpointed_target);
  f.at_least("synced", "the same, synced", median(safe), synced_target);
}

}  // namespace

void ask_work_queue(suite& s) {
  const auto turns = s.size<std::size_t>(7, 1);
  const auto rounds = s.size<std::size_t>(40, 1);
  s.ask(study{.name = "work_queue",
              .text = "publish, deliver, acknowledge: one queue, a thousand messages in flight",
              .answer = [=](const auto& directory, findings& f) { answer(directory, f, turns, rounds); }});
}

}  // namespace levada::bench
