#include "bus/route.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bus/append.hpp"
#include "bus/find.hpp"
#include "bus/schedule.hpp"
#include "log/record_codec.hpp"

namespace levada {
namespace {

/// What the host says, or is known to be handled in this thread.
std::shared_ptr<const flow_cause> cause_of(const core& owner, const record& r) {
  if (!r.cause()) return current_handling::cause(owner);
  return std::make_shared<const flow_cause>(
      flow_cause{r.cause()->topic, r.cause()->partition.value(), r.cause()->offset.value(), {}});
}

}  // namespace

result<void> check_routing_key(std::string_view operation, std::string_view key) {
  if (key.size() <= routing_key_bytes_max) return {};
  return error{errc::field_too_long, fmt::format("{}: the routing key has {} bytes, the limit is {}",
                                                 operation, key.size(), routing_key_bytes_max)};
}

routed_append::routed_append(std::string_view routing_key, std::string extras, log::row_encoder rows,
                             const record& r)
    : routing_key_{routing_key},
      extras_{std::move(extras)},
      rows_{std::move(rows)},
      value_bytes_{static_cast<std::uint32_t>(r.value() ? r.value()->size() : 0)},
      expiration_{r.properties().expiration},
      priority_{r.properties().priority.value_or(0)} {}

result<routed_append> routed_append::make(const topic_slot& exchange, std::string_view operation,
                                          std::string_view routing_key, const record& r,
                                          std::optional<std::size_t> bytes_max) {
  auto extras = log::encode_extras(routing_key, r);
  if (!extras) return extras.error();
  auto source = log::source_of(r, *extras);
  if (!source) return source.error();
  source->time.reset();  // exchanges' logs have append times
  if (bytes_max) {
    if (auto fits = check_record_size(operation, source->size(), *bytes_max); !fits) return fits.error();
  }
  const auto& log = exchange.state;
  const std::uint32_t partition = partition_for_key(routing_key, log.partitions()).value();
  log::row_encoder rows{log.id(), partition};
  rows.add(*source);
  rows.finish();
  return routed_append{routing_key, std::move(*extras), std::move(rows), r};
}

result<addressed_message> address(const core& owner, std::string_view operation, std::string_view exchange,
                                  std::string_view routing_key, const record& r,
                                  const publish_options& options) {
  const auto refuse = [&](errc code, const char* what) {
    return error{code, fmt::format("{}: {}", operation, what)};
  };
  if (auto checked = check_routing_key(operation, routing_key); !checked) return checked.error();
  if (options.delay.count() < 0 || options.delay > queue_time_max)
    return refuse(errc::invalid_argument, "delay is not negative, and at most 10,000 days");
  if (options.delay.count() > 0 && options.mandatory) {
    return refuse(errc::invalid_argument,
                  "a message that is routed later cannot be mandatory, as nobody waits for the outcome");
  }
  auto found = find_exchange(owner, operation, exchange);
  if (!found) return found.error();
  auto content = routed_append::make(**found, operation, routing_key, r, owner.options().record_bytes_max);
  if (!content) return content.error();
  if (owner.ledger().on()) content->set_cause(cause_of(owner, r));
  if (options.track) {
    const std::string& id = r.properties().message_id;
    if (id.empty()) return refuse(errc::invalid_argument, "a message that is tracked needs a message id");
    content->track_as(id);
  }
  return addressed_message{std::move(*found), std::move(*content)};
}

result<void> route_intent::execute(commit_scope& scope) {
  if (auto planned = plan(scope); !planned) return planned;
  return write(scope);
}

result<std::int64_t> route_intent::delay(routed_message& facts) const {
  if (options_.delay.count() > 0 || !exchange_.entry.traits.delayed) return options_.delay.count();
  const auto asked = facts.delay();
  if (!asked) return 0;
  if (*asked > queue_time_max.count())
    return error{errc::invalid_argument, fmt::format("x-delay is {} ms, and at most 10,000 days", *asked)};
  if (options_.mandatory)
    return error{errc::invalid_argument, "a message that is routed later cannot be mandatory"};
  return *asked;
}

result<void> route_intent::plan(commit_scope& scope, std::vector<routing_step>* steps) {
  queues_.takers.clear();
  queues_.refusers.clear();
  if (exchange_.orphan) return error{errc::unknown_exchange, "the exchange has been deleted"};
  if (exchange_.entry.traits.internal) return error{errc::access_refused, "the exchange is internal"};
  if (const std::string& id = message_.tracked_as(); !id.empty()) {
    if (auto free = scope.owner().tickets().check_free(scope, id); !free) return free;
  }
  routed_message facts{message_.routing_key(), message_.extras()};
  auto waits = delay(facts);
  if (!waits) return waits.error();
  delay_ = *waits;
  if (delay_ > 0 && steps == nullptr) return {};
  scope.owner().routes().route(exchange_, facts, queues_.takers, steps);
  if (queues_.takers.empty() && options_.mandatory) {
    return error{errc::unroutable,
                 fmt::format("no queue takes a message with the routing key '{}'", message_.routing_key())};
  }
  set_refusers_apart(scope, queues_, message_.value_bytes());
  if (delay_ > 0 || queues_.refusers.empty() ||
      exchange_.entry.traits.overflow == static_cast<std::uint8_t>(overflow_scope::queue)) {
    return {};
  }
  const queue_slot& first = *queues_.refusers.front();
  return error{errc::queue_full, fmt::format("queue '{}' holds {} messages and refuses more",
                                             first.state.name(), scope.ready(first).messages)};
}

result<void> route_intent::write(commit_scope& scope) {
  auto base = scope.append(exchange_, message_.rows());
  if (!base) return base.error();
  base_offset_ = *base;
  time_ = scope.now();
  due_.reset();
  if (delay_ > 0) {
    auto due = schedule(scope, exchange_, message_.rows().partition(), *base, delay_ * 1000);
    if (!due) return due.error();
    due_ = timestamp{std::chrono::microseconds{*due}};
    return note(scope, *due);
  }
  const stored_message stored{message_.reference_at(*base), message_.expiration(), message_.priority(),
                              &message_.rows()};
  if (auto entered = enter_queues(scope, stored, queues_); !entered) return entered;
  if (auto noted = note(scope, 0); !noted) return noted;
  return bury(scope);
}

/// What has been done, for who asks later.
result<void> route_intent::note(commit_scope& scope, std::int64_t due) {
  scope.owner().ledger().note(scope,
                              {exchange_, message_.rows().partition(), base_offset_, message_.routing_key(),
                               message_.extras(), due, message_.cause()},
                              queues_.takers);
  if (message_.tracked_as().empty()) return {};
  queue::ticket_row row;
  row.where = {message_.rows().log(), message_.rows().partition(), base_offset_};
  row.due = due;
  row.refused = static_cast<std::uint32_t>(queues_.refusers.size());
  auto opened = scope.owner().tickets().open(scope, message_.tracked_as(), row, queues_.takers);
  return opened ? opened : scope.undo(opened.error());
}

publish_receipt route_intent::receipt() const {
  return {exchange_.state.name(),
          partition_id{message_.rows().partition()},
          offset{base_offset_},
          timestamp{std::chrono::microseconds{time_}},
          queues_.takers.size(),
          queues_.refusers.size(),
          due_};
}

explanation route_intent::explain(commit_scope& scope) {
  explanation told;
  if (auto planned = plan(scope, &told.steps); !planned) told.refused = planned.error();
  const auto add = [&](const queue_slot& queue, queue_verdict verdict) {
    queue_outcome& outcome = told.queues.emplace_back();
    outcome.queue = queue.state.name();
    outcome.verdict = verdict;
    outcome.expires_in = time_to_live(queue, message_.expiration());
    outcome.dead_letter_exchange = queue.rules().dead_letter_exchange;
  };
  for (const queue_slot* const queue : queues_.takers) {
    const bool drops = would_drop(scope, *queue, message_.value_bytes());
    add(*queue, drops ? queue_verdict::drops_head : queue_verdict::enters);
  }
  for (const queue_slot* const queue : queues_.refusers) {
    const bool dies = queue->rules().overflow == static_cast<std::uint8_t>(overflow::reject_publish_dlx) &&
                      queue->rules().dead_letter_exchange;
    add(*queue, dies ? queue_verdict::dead_letters : queue_verdict::refuses);
  }
  std::sort(told.queues.begin(), told.queues.end(),
            [](const queue_outcome& a, const queue_outcome& b) { return a.queue < b.queue; });
  return told;
}

result<routed_messages> routed_messages::make(const core& owner, const std::string& operation,
                                              std::span<const message> messages,
                                              const publish_options& options) {
  routed_messages made;
  made.all_.reserve(messages.size());
  for (const message& m : messages) {
    if (auto added = made.add(owner, operation, m, options); !added) {
      return error{added.error().code(), fmt::format("{}, number {} to exchange '{}': {}", operation,
                                                     made.all_.size(), m.exchange, added.error().message())};
    }
  }
  return made;
}

result<void> routed_messages::add(const core& owner, const std::string& operation, const message& m,
                                  const publish_options& options) {
  auto what = address(owner, operation, m.exchange, m.routing_key, m.content, options);
  if (!what) return what.error();
  bytes_ += what->content.rows().bytes();
  if (bytes_ > batch_bytes_max) {
    return error{errc::batch_too_large,
                 fmt::format("up to this one they have {} bytes, the limit is {}", bytes_, batch_bytes_max)};
  }
  all_.push_back(std::make_unique<one>(std::move(*what), options));
  return {};
}

result<void> routed_messages::execute(commit_scope& scope) {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    // What a queue has room for depends on those before.
    if (auto done = all_[i]->route.execute(scope); !done) {
      const error why{done.error().code(), fmt::format("number {}: {}", i, done.error().message())};
      return i == 0 ? result<void>{why} : scope.undo(why);
    }
  }
  return {};
}

std::vector<publish_receipt> routed_messages::receipts() const {
  std::vector<publish_receipt> all;
  all.reserve(all_.size());
  for (const auto& m : all_) all.push_back(m->route.receipt());
  return all;
}

}  // namespace levada
