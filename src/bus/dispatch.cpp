#include "bus/dispatch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "bus/core.hpp"
#include "bus/messages.hpp"
#include "bus/route.hpp"
#include "bus/schedule.hpp"
#include "queue/deaths.hpp"

namespace levada {
namespace {

bool over_limits(const queue_slot& queue, const queue::amount& ready) {
  const auto& limits = queue.rules();
  return (limits.max_length && ready.messages > *limits.max_length) ||
         (limits.max_length_bytes && ready.bytes > *limits.max_length_bytes);
}

bool has_limits(const queue_slot& queue) {
  return queue.rules().max_length || queue.rules().max_length_bytes;
}

bool drops_head(const queue_slot& queue) {
  return has_limits(queue) && queue.rules().overflow == static_cast<std::uint8_t>(overflow::drop_head);
}

/// A batch of the one record that stands in `rows`.
record_batch batch_of(const log::row_encoder& rows, const std::string& topic, const queue::reference& where,
                      std::int64_t now) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < rows.rows(); ++i) size += rows.records_of(i).size();
  log::batch_builder builder{{}};
  std::byte* const data = builder.allocate(size);
  std::size_t at = 0;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const auto part = rows.records_of(i);
    std::memcpy(data + at, part.data(), part.size());
    at += part.size();
  }
  builder.add(std::make_shared<const std::string>(topic), {.partition = partition_id{where.partition},
                                                           .base_offset = offset{where.offset},
                                                           .count = 1,
                                                           .time_first = log::to_time(now),
                                                           .data = data,
                                                           .size = size});
  return builder.finish();
}

std::vector<death> deaths_in(const record& r) {
  for (const header& h : r.headers()) {
    const auto* const bytes = std::get_if<binary>(&h.value);
    if (h.name != queue::death_header || bytes == nullptr) continue;
    if (auto deaths = queue::decode_deaths(*bytes)) return std::move(*deaths);
  }
  return {};
}

/// Whether a message of so many bytes is too much for a queue, with what has come besides.
bool is_too_much(commit_scope& scope, const queue_slot& queue, std::uint64_t bytes,
                 const queue::amount& come = {}) {
  queue::amount ready = scope.ready(queue);
  ready.messages += come.messages + 1;
  ready.bytes += come.bytes + bytes;
  return over_limits(queue, ready);
}

/// Notes what a message has become that has left a queue.
void note_dead(commit_scope& scope, const queue_slot& from, const record_view& message,
               dead_letter_reason why, const topic_slot& exchange, routed_append& dead, std::uint64_t offset,
               std::int64_t due, const std::vector<queue_slot*>& queues) {
  flow_ledger& ledger = scope.owner().ledger();
  if (!ledger.on()) return;
  const flow_cause cause{std::string{message.topic()}, message.partition().value(), message.offset().value(),
                         from.state.name(), why};
  ledger.note(scope,
              {exchange, dead.rows().partition(), offset, dead.routing_key(), dead.extras(), due, &cause},
              queues);
}

/// Publishes a message that has left a queue to the queue's dead-letter exchange. Whether it has become a
/// dead letter.
result<bool> publish_dead(commit_scope& scope, queue_slot& from, const record_view& message,
                          dead_letter_reason why) {
  core& owner = scope.owner();
  topic_slot* const exchange = owner.exchange_named(*from.rules().dead_letter_exchange);
  if (exchange == nullptr) return false;
  const record changed = queue::record_after_death(
      message, {from.state.name(), why, log::to_time(scope.now()), message.topic(), message.routing_key()});
  const std::string key{from.rules().dead_letter_key ? std::string_view{*from.rules().dead_letter_key}
                                                     : message.routing_key()};
  const std::string operation = fmt::format("dead-letter from queue '{}'", from.state.name());
  // It was within the limit before: what it has to remember of its deaths does not count.
  auto content = routed_append::make(*exchange, operation, key, changed, std::nullopt);
  if (!content) return content.error();
  const auto kept = scope.keep(std::make_shared<routed_append>(std::move(*content)));
  routed_message facts{kept->routing_key(), kept->extras()};
  const auto delay = exchange->entry.traits.delayed ? facts.delay() : std::nullopt;
  if (delay && *delay <= queue_time_max.count()) {
    auto base = scope.append(*exchange, kept->rows());
    if (!base) return base.error();
    auto due = schedule(scope, *exchange, kept->rows().partition(), *base, *delay * 1000);
    if (!due) return due.error();
    note_dead(scope, from, message, why, *exchange, *kept, *base, *due, {});
    return true;
  }
  reached_queues queues;
  owner.routes().route(*exchange, facts, queues.takers);
  const bool routable = !queues.takers.empty();
  const auto deaths = deaths_in(changed);
  std::erase_if(queues.takers,
                [&](queue_slot* to) { return queue::is_cycle(deaths, to->state.name(), why); });
  if (routable && queues.takers.empty()) return false;  // it has gone round
  set_refusers_apart(scope, queues, kept->value_bytes());
  auto base = scope.append(*exchange, kept->rows());
  if (!base) return base.error();
  auto entered = enter_queues(
      scope, {kept->reference_at(*base), changed.properties().expiration, kept->priority(), &kept->rows()},
      queues);
  if (!entered) return entered.error();
  note_dead(scope, from, message, why, *exchange, *kept, *base, 0, queues.takers);
  return true;
}

/// The same of one that is stored.
result<bool> publish_dead(commit_scope& scope, queue_slot& from, const queue::reference& where,
                          dead_letter_reason why) {
  if (!from.rules().dead_letter_exchange) return false;
  core& owner = scope.owner();
  if (const auto* const rows = scope.remembered(where)) {
    const auto topic = owner.find_topic(where.log);
    const record_batch one = batch_of(*rows, topic->state.name(), where, scope.now());
    return publish_dead(scope, from, *one.begin(), why);
  }
  const std::string operation = fmt::format("dead-letter from queue '{}'", from.state.name());
  const auto outcome = read_messages(owner, owner.main(), operation, {&where, 1}, SIZE_MAX);
  if (outcome.read == 0) {
    // It leaves its queue all the same.
    if (is_lost(outcome.ended.error().code())) return false;
    return outcome.ended.error();
  }
  return publish_dead(scope, from, *outcome.messages.begin(), why);
}

flow_step step_of(dead_letter_reason why) noexcept {
  switch (why) {
    case dead_letter_reason::rejected:
      return flow_step::rejected;
    case dead_letter_reason::expired:
      return flow_step::expired;
    case dead_letter_reason::maxlen:
      return flow_step::dropped;
    case dead_letter_reason::delivery_limit:
      break;
  }
  return flow_step::exhausted;
}

departure departure_of(dead_letter_reason why, bool dead_lettered) {
  if (dead_lettered) return departure::dead_lettered;
  return why == dead_letter_reason::expired ? departure::expired : departure::discarded;
}

}  // namespace

void set_refusers_apart(commit_scope& scope, reached_queues& queues, std::uint64_t bytes) {
  std::erase_if(queues.takers, [&](queue_slot* queue) {
    if (!would_refuse(scope, *queue, {}, bytes)) return false;
    queues.refusers.push_back(queue);
    return true;
  });
}

result<void> enter_queues(commit_scope& scope, const stored_message& message, const reached_queues& queues) {
  if (queues.takers.empty()) ++scope.counts().unroutable;
  bool remembered = false;
  const auto remember = [&] {
    if (message.rows != nullptr && !std::exchange(remembered, true))
      scope.remember(message.where, *message.rows);
  };
  for (queue_slot* const queue : queues.takers) {
    queue::reference where = message.where;
    where.expires = expiry_of(*queue, message.expiration, scope.now());
    if (where.expires != 0) queue->attended = true;
    scope.enqueue(*queue, where, message.priority);
    if (!drops_head(*queue)) continue;
    remember();
    if (auto trimmed = trim(scope, *queue); !trimmed) return trimmed;
  }
  for (queue_slot* const queue : queues.refusers) {
    if (queue->rules().overflow != static_cast<std::uint8_t>(overflow::reject_publish_dlx)) continue;
    remember();
    scope.casualties().push_back({queue, message.where, dead_letter_reason::maxlen});
  }
  return {};
}

bool would_drop(commit_scope& scope, const queue_slot& queue, std::uint64_t bytes) {
  return drops_head(queue) && is_too_much(scope, queue, bytes);
}

std::optional<std::int64_t> time_to_live(const queue_slot& queue,
                                         const std::optional<std::chrono::milliseconds>& expiration) {
  std::optional<std::int64_t> ttl = queue.rules().message_ttl;
  if (expiration) ttl = std::min(ttl.value_or(expiration->count()), expiration->count());
  return ttl;
}

std::int64_t expiry_of(const queue_slot& queue, const std::optional<std::chrono::milliseconds>& expiration,
                       std::int64_t now) {
  const auto ttl = time_to_live(queue, expiration);
  if (!ttl) return 0;
  constexpr std::int64_t microseconds = 1000;
  const std::int64_t most = (std::numeric_limits<std::int64_t>::max() - now) / microseconds;
  return now + std::clamp<std::int64_t>(*ttl, 0, most) * microseconds;
}

bool would_refuse(commit_scope& scope, const queue_slot& queue, const queue::amount& come,
                  std::uint64_t bytes) {
  return has_limits(queue) && !drops_head(queue) && is_too_much(scope, queue, bytes, come);
}

result<void> trim(commit_scope& scope, queue_slot& queue) {
  if (!drops_head(queue)) return {};
  while (over_limits(queue, scope.ready(queue))) {
    auto dropped = scope.drop_head(queue);
    if (!dropped) return scope.undo(dropped.error());
    if (!*dropped) break;
    scope.casualties().push_back({&queue, **dropped, dead_letter_reason::maxlen});
  }
  return {};
}

bool needs_trimming(const queue_slot& queue) {
  return drops_head(queue) && over_limits(queue, queue.state.ready());
}

result<void> bury(commit_scope& scope) {
  while (!scope.casualties().empty()) {
    const commit_scope::casualty next = scope.casualties().front();
    scope.casualties().pop_front();
    scope.owner().ledger().note(scope, *next.queue, next.where, step_of(next.why), next.delivered);
    auto dead = publish_dead(scope, *next.queue, next.where, next.why);
    if (!dead) return scope.undo(dead.error());
    auto noted = scope.owner().tickets().note(scope, next.queue->state.id(), next.where,
                                              departure_of(next.why, *dead));
    if (!noted) return scope.undo(noted.error());
  }
  return {};
}

}  // namespace levada
