#include "bus/trace.hpp"

#include <fmt/format.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "bus/bus_impl.hpp"
#include "log/record_codec.hpp"
#include "storage/flow_event.hpp"

namespace levada {
namespace {

using storage::flow_event;

constexpr auto last_step = static_cast<std::uint8_t>(flow_step::purged);

/// Picks from the ledger's events what belongs together.
class tracing {
 public:
  tracing(std::string_view id, const trace_options& options) : id_{id}, options_{options} {}

  void look_at(const flow_event& event, timestamp time) {
    if (event.what == flow_event::published) return published(event, time);
    const auto known = places_.find(place_of(event.where));
    if (known == places_.end()) return;
    traced_message& message = found_.messages[known->second];
    if (event.what == flow_event::routed) {
      message.queues.assign(event.queues.begin(), event.queues.end());
    } else if (event.what == flow_event::cancelled) {
      message.cancelled = time;
    } else if (event.what >= flow_event::first_step && event.what - flow_event::first_step <= last_step) {
      traced_step step{static_cast<flow_step>(event.what - flow_event::first_step), std::string{event.queue},
                       time};
      if (event.delivered != 0) step.delivered = log::to_time(event.delivered);
      message.steps.push_back(std::move(step));
    }
  }
  [[nodiscard]] message_trace take() && { return std::move(found_); }

 private:
  using place = std::tuple<std::string, std::uint32_t, std::uint64_t>;
  static place place_of(const flow_event::place& where) {
    return {std::string{where.exchange}, where.partition, where.offset};
  }

  void published(const flow_event& event, timestamp time) {
    const auto cause = event.because ? places_.find(place_of(event.because->where)) : places_.end();
    if (cause == places_.end() && event.message_id != id_ && event.correlation_id != id_) return;
    if (found_.messages.size() >= options_.messages_max) {
      found_.truncated = true;
      return;
    }
    traced_message message;
    message.exchange = event.where.exchange;
    message.partition = partition_id{event.where.partition};
    message.offset = offset{event.where.offset};
    message.routing_key = event.routing_key;
    message.message_id = event.message_id;
    message.correlation_id = event.correlation_id;
    message.published = time;
    if (event.due != 0) message.due = log::to_time(event.due);
    message.queues.assign(event.queues.begin(), event.queues.end());
    if (cause != places_.end()) {
      message.cause = cause->second;
      message.cause_queue = event.because->queue;
      if (event.because->death != 0) message.death = static_cast<dead_letter_reason>(event.because->death);
    }
    places_.emplace(place_of(event.where), found_.messages.size());
    found_.messages.push_back(std::move(message));
  }

  const std::string_view id_;
  const trace_options options_;
  message_trace found_;
  std::map<place, std::size_t> places_;
};

}  // namespace

result<message_trace> trace_in(replay& ledger, std::string_view id, const trace_options& options) {
  if (id.empty()) return error{errc::invalid_argument, "trace: the id is empty"};
  tracing all{id, options};
  for (;;) {
    auto batch = ledger.next();
    if (!batch) {
      // What cannot be read any more is missing from the trace.
      if (batch.error() == errc::overtaken) continue;
      return batch.error();
    }
    if (batch->empty()) {
      if (ledger.ended()) return std::move(all).take();
      continue;
    }
    for (const record_view noted : *batch) {
      const auto event = storage::decode_flow_event(noted.value());
      if (!event) {
        return error{errc::damaged,
                     fmt::format("trace '{}': offset {} of topic '{}' is no event: {}", id,
                                 noted.offset().value(), ledger_topic, event.error().message())};
      }
      all.look_at(*event, noted.time());
    }
  }
}

result<message_trace> bus::trace(std::string_view id, const trace_options& options) const {
  replay_options to_the_end;
  to_the_end.until = until_latest{};
  auto ledger = replay(ledger_topic, to_the_end);
  if (!ledger) return ledger.error();
  return trace_in(*ledger, id, options);
}

}  // namespace levada
