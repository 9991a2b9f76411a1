#include "bus/flow_ledger.hpp"

#include <utility>

#include "bus/catalog_intents.hpp"
#include "bus/core.hpp"
#include "bus/log_policies.hpp"
#include "log/record_codec.hpp"
#include "storage/flow_event.hpp"

namespace levada {
namespace {

thread_local const current_handling* handled_here = nullptr;

std::vector<std::string_view> names_of(const std::vector<queue_slot*>& queues) {
  std::vector<std::string_view> names;
  names.reserve(queues.size());
  for (const queue_slot* const queue : queues) names.emplace_back(queue->state.name());
  return names;
}

void add_event(commit_scope& scope, const storage::flow_event& event) {
  const std::string encoded = storage::encode(event);
  log::record_source source;
  source.value = encoded;
  scope.add_to_ledger(source);
}

}  // namespace

current_handling::current_handling(const core& owner, const record_view& message,
                                   const std::string& queue) noexcept
    : owner_{owner}, message_{message}, queue_{queue}, outer_{std::exchange(handled_here, this)} {}

current_handling::~current_handling() {
  handled_here = outer_;
}

std::shared_ptr<const flow_cause> current_handling::cause(const core& owner) {
  const current_handling* now = handled_here;
  while (now != nullptr && &now->owner_ != &owner) now = now->outer_;
  if (now == nullptr) return nullptr;
  const record_view& m = now->message_;
  return std::make_shared<const flow_cause>(
      flow_cause{std::string{m.topic()}, m.partition().value(), m.offset().value(), now->queue_});
}

result<void> flow_ledger::start() {
  const auto& wanted = owner_.options().ledger;
  if (!wanted) return {};
  constexpr const char* operation = "open the flow ledger";
  storage::log_entry entry;
  entry.name = ledger_topic;
  entry.partitions = 1;
  if (auto set = store_retention(operation, entry.name, wanted->retention, entry.policy); !set) return set;
  const storage::log_policy policy = entry.policy;
  auto topic = declare_log(owner_, std::move(entry));
  if (!topic) return topic.error();
  // One that exists keeps what the host wants now.
  auto changed = change_policy(owner_, **topic, operation, [&policy](storage::log_policy& p) { p = policy; });
  if (!changed) return changed;
  topic_ = std::move(*topic);
  return {};
}

void flow_ledger::note(commit_scope& scope, const published_message& message,
                       const std::vector<queue_slot*>& queues) {
  if (!on()) return;
  const auto properties = log::properties_in(message.extras);
  storage::flow_event event;
  event.where = {message.exchange.state.name(), message.partition, message.offset};
  event.routing_key = message.routing_key;
  event.message_id = properties.message_id;
  event.correlation_id = properties.correlation_id;
  event.due = message.due;
  if (const auto* const cause = message.cause) {
    event.because = {{cause->exchange, cause->partition, cause->offset},
                     cause->queue,
                     cause->death ? static_cast<std::uint8_t>(*cause->death) : std::uint8_t{0}};
  }
  event.queues = names_of(queues);
  add_event(scope, event);
}

void flow_ledger::note_routed(commit_scope& scope, const topic_slot& exchange, std::uint32_t partition,
                              std::uint64_t offset, const std::vector<queue_slot*>& queues) {
  if (!on()) return;
  storage::flow_event event;
  event.what = storage::flow_event::routed;
  event.where = {exchange.state.name(), partition, offset};
  event.queues = names_of(queues);
  add_event(scope, event);
}

void flow_ledger::note_cancelled(commit_scope& scope, const queue::message_place& where) {
  if (!on()) return;
  const auto exchange = owner_.find_topic(where.log);
  if (!exchange) return;
  storage::flow_event event;
  event.what = storage::flow_event::cancelled;
  event.where = {exchange->state.name(), where.partition, where.offset};
  add_event(scope, event);
}

void flow_ledger::note(commit_scope& scope, const queue_slot& queue, const queue::reference& where,
                       flow_step what, std::int64_t delivered) {
  if (!on()) return;
  const auto exchange = owner_.find_topic(where.log);
  if (!exchange) return;
  storage::flow_event event;
  event.what = static_cast<std::uint8_t>(storage::flow_event::first_step + static_cast<std::uint8_t>(what));
  event.where = {exchange->state.name(), where.partition, where.offset};
  event.queue = queue.state.name();
  event.delivered = delivered;
  add_event(scope, event);
}

}  // namespace levada
