#include "notifier.hpp"

#include <chrono>

#include "roster.hpp"
#include "store.hpp"
#include "switchboard.hpp"

namespace emergency {
namespace {

/// Alerts between two commits: how many may be handed over again after a crash.
constexpr std::size_t alerts_per_commit = 64;
/// How soon the notifier notices that no more will come.
constexpr std::chrono::milliseconds waiting_time_max{100};

}  // namespace

notifier::notifier(levada::bus& bus, call_register& calls, reporter& out)
    : bus_{bus}, calls_{calls}, out_{out}, worker_{[this] { run(); }} {}

notifier::~notifier() {
  finish();
}

void notifier::finish() {
  last_alert_published_ = true;
  worker_.join();
}

void notifier::run() {
  switchboard board{bus_, calls_, out_};
  roster roster{board};
  auto alerts = bus_.join(names::notifier_group, {names::alerts},
                          {.reset = levada::offset_reset::earliest, .poll_records_max = alerts_per_commit})
                    .value();
  for (;;) {
    const bool ending = last_alert_published_;  // read before the poll, so that an empty poll is the end
    const auto batch = alerts.poll(ending ? std::chrono::milliseconds{0} : waiting_time_max).value();
    if (batch.empty() && ending) break;
    if (batch.empty()) continue;
    for (const auto& alert : batch) {
      const auto line = parse_line_key(alert.key());
      roster.before_alert(line);
      board.hand(alert);
      roster.after_alert(line);
    }
    board.wait_until_settled();
    alerts.commit().value();
    for (const auto& where : alerts.assignment()) {
      if (const auto done = alerts.committed(where).value()) {
        out_.tell(offset_committed{where.partition, done->next});
      }
    }
  }
  board.close();
}

}  // namespace emergency
