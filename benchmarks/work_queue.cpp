// One queue from end to end: a thousand messages are published, received and acknowledged, again and again;
// and what it costs to keep a record of that.

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
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
  enum class messages_are : bool { nameless, named };
  line(const std::filesystem::path& store, const bus_options& options,
       messages_are which = messages_are::nameless, const publish_options& how = {})
      : bus_{bus::open(store, options).value()}, which_{which}, how_{how} {
    bus_.declare_queue("work").value();
    consumer_.emplace_back(bus_.consume("work", {.prefetch = in_flight}).value());
    for (std::size_t i = 0; i < in_flight; ++i)
      messages_.emplace_back("", "work", record{std::string{value_of(i)}});
  }
  /// Messages a second, over so many rounds.
  double run(std::size_t rounds) {
    std::chrono::duration<double> took{0};
    for (std::size_t i = 0; i < rounds; ++i) {
      if (which_ == messages_are::named) {
        for (message& m : messages_) m.content.message_id(fmt::format("message-{}", ++last_id_));
      }
      const auto begin = std::chrono::steady_clock::now();
      (void)bus_.publish(messages_, how_).value();
      delivery last;
      for (std::size_t m = 0; m < in_flight; ++m) {
        auto d = consumer_.front().receive(std::chrono::milliseconds{0}).value();
        if (!d) throw std::runtime_error{"a message is missing"};
        last = std::move(*d);
      }
      consumer_.front().ack_up_to(last.tag()).value();
      took += std::chrono::steady_clock::now() - begin;
    }
    return static_cast<double>(rounds * in_flight) / took.count();
  }

 private:
  bus bus_;
  const messages_are which_;
  const publish_options how_;
  std::uint64_t last_id_ = 0;
  std::vector<queue_consumer> consumer_;
  std::vector<message> messages_;
};

void answer(const std::filesystem::path& directory, findings& f, std::size_t turns, std::size_t rounds) {
  line with_checkpoints{directory / "checkpointed", unsealed(checkpointed{std::chrono::hours{1}})};
  line flushed{directory / "synced", unsealed(synced{})};
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

/// The same with the flow ledger, and with a ticket for each message, in turn with neither.
void answer_noted(const std::filesystem::path& directory, findings& f, std::size_t turns,
                  std::size_t rounds) {
  const bus_options plain = unsealed(checkpointed{std::chrono::hours{1}});
  bus_options noting = plain;
  noting.ledger.emplace();
  constexpr auto named = line::messages_are::named;
  line without{directory / "plain", plain, named};
  line with_ledger{directory / "ledger", noting, named};
  line with_tickets{directory / "tickets", plain, named, {.track = true}};
  std::vector<double> ledger_share;
  std::vector<double> ticket_share;
  std::vector<double> rates[3];
  for (std::size_t i = 0; i <= turns; ++i) {
    stop_if_asked();
    const double a = without.run(rounds);
    const double b = with_ledger.run(rounds);
    const double c = with_tickets.run(rounds);
    if (i == 0) continue;  // touches memory
    rates[0].push_back(a);
    rates[1].push_back(b);
    rates[2].push_back(c);
    ledger_share.push_back(b / a);
    ticket_share.push_back(c / a);
  }
  f.line(fmt::format("messages a second, {} in flight, checkpointed: {}; with the ledger {}; tracked {}",
                     in_flight, with_range(rates[0]), with_range(rates[1]), with_range(rates[2])));
  f.line(fmt::format("what is left of the rate: with the ledger {}, tracked {}", with_range(ledger_share),
                     with_range(ticket_share)));
  constexpr double nanoseconds = 1e9;
  f.line(fmt::format("a message more by: ledger {:.0f} ns, ticket {:.0f} ns",
                     nanoseconds / median(rates[1]) - nanoseconds / median(rates[0]),
                     nanoseconds / median(rates[2]) - nanoseconds / median(rates[0])));
}

}  // namespace

void ask_flow_ledger(suite& s) {
  const auto turns = s.size<std::size_t>(7, 1);
  const auto rounds = s.size<std::size_t>(20, 1);
  s.ask(study{
      .name = "flow_ledger",
      .text = "publish, deliver, acknowledge, with the flow ledger, and with a ticket for each message",
      .answer = [=](const auto& directory, findings& f) { answer_noted(directory, f, turns, rounds); }});
}

void ask_work_queue(suite& s) {
  const auto turns = s.size<std::size_t>(7, 1);
  const auto rounds = s.size<std::size_t>(40, 1);
  s.ask(study{.name = "work_queue",
              .text = "publish, deliver, acknowledge: one queue, a thousand messages in flight",
              .answer = [=](const auto& directory, findings& f) { answer(directory, f, turns, rounds); }});
}

}  // namespace levada::bench
