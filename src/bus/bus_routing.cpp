// A bus's own calls that are about exchanges, queues, and messages.

#include <fmt/format.h>

#include <shared_mutex>
#include <utility>

#include "bus/backfill.hpp"
#include "bus/bus_impl.hpp"
#include "bus/catalog_intents.hpp"
#include "bus/declared_options.hpp"
#include "bus/find.hpp"
#include "bus/log_policies.hpp"
#include "bus/names.hpp"
#include "bus/queue_impl.hpp"
#include "bus/queue_tools.hpp"
#include "bus/route.hpp"
#include "bus/schedule.hpp"
#include "bus/simple_intent.hpp"

#include <levada/bus.hpp>

namespace levada {

result<void> bus::declare_exchange(std::string_view name, const exchange_options& options) {
  if (auto free = check_not_reserved("declare exchange", name); !free) return free;
  return impl_->declare_exchange(name, options);
}

result<void> bus::impl::declare_exchange(std::string_view name, const exchange_options& options) const {
  constexpr const char* operation = "declare exchange";
  if (auto checked = check_name(operation, "exchange", name); !checked) return checked;
  if (auto checked = check_partitions("exchange", name, options.partitions); !checked) return checked;
  const std::string& alternate = options.alternate_exchange;
  if (!alternate.empty()) {
    if (auto checked = check_name(operation, "alternate exchange", alternate); !checked) return checked;
  }
  if ((options.hash == hash_source::header) == options.hash_header.empty() ||
      options.hash_header.size() > 255) {
    return error{errc::invalid_argument,
                 fmt::format("{} '{}': hash_header goes with hash_source::header, and has 1 to 255 bytes",
                             operation, name)};
  }
  storage::log_entry entry;
  entry.name = name;
  entry.partitions = options.partitions;
  entry.exchange = static_cast<std::uint8_t>(options.type);
  entry.traits = {!options.durable,
                  options.auto_delete,
                  options.internal,
                  alternate,
                  static_cast<std::uint8_t>(options.hash),
                  options.hash_header,
                  static_cast<std::uint8_t>(options.overflow),
                  options.delayed};
  if (auto set = store_retention(operation, name, options.retention, entry.policy); !set) return set.error();
  if (auto set = store_compression(operation, name, options.compression, entry.policy); !set)
    return set.error();
  auto slot = declare_log(*owner, std::move(entry));
  if (!slot) return slot.error();
  if (options.retention.age) owner->upkeep().wake();
  return {};
}

result<exchange_info> bus::exchange(std::string_view name) const {
  const std::string operation = fmt::format("look up exchange '{}'", name);
  auto slot = impl_->exchange_of(operation, name);
  if (!slot) return slot.error();
  const topic_slot& exchange = **slot;
  const auto policy = [&] {
    const std::shared_lock guard{exchange.state.mutex()};
    return exchange.state.policy();
  }();
  // Its traits never change.
  return info_of(exchange.state.name(), exchange.type(), exchange.state.partitions(), exchange.entry.traits,
                 policy, exchange.rules(), impl_->owner->bindings_from(exchange.state.id()));
}

result<void> bus::delete_exchange(std::string_view name, const exchange_deletion_options& options) {
  auto slot = impl_->exchange_of(fmt::format("delete exchange '{}'", name), name);
  if (!slot) return slot.error();
  return levada::delete_exchange(*impl_->owner, **slot, options);
}

result<void> bus::declare_queue(std::string_view name, const queue_options& options) {
  constexpr const char* operation = "declare queue";
  if (auto checked = check_name(operation, "queue", name); !checked) return checked;
  if (auto free = check_not_reserved(operation, name); !free) return free;
  auto traits = traits_of(fmt::format("{} '{}'", operation, name), options);
  if (!traits) return traits.error();
  auto slot = levada::declare_queue(*impl_->owner, name, *traits, queue_of::all);
  if (!slot) return slot.error();
  return {};
}

result<queue_info> bus::queue(std::string_view name) const {
  auto slot = impl_->queue_of(fmt::format("look up queue '{}'", name), name);
  if (!slot) return slot.error();
  const queue::queue_state& state = (*slot)->state;
  const std::uint64_t backfill = (*slot)->backfill_left;  // first, as in `add_owners_view`
  const auto row = state.row();
  queue_info info =
      info_of(state.name(), state.exclusive(), {row.left(), row.bytes}, (*slot)->declared, (*slot)->rules());
  add_owners_view(**slot, info);
  info.backfill = backfill;
  return info;
}

result<exclusive_queue> bus::declare_exclusive_queue(std::string_view name, const queue_options& options) {
  constexpr const char* operation = "declare exclusive queue";
  if (auto checked = check_name(operation, "queue", name); !checked) return checked.error();
  if (auto free = check_not_reserved(operation, name); !free) return free.error();
  return impl_->declare_exclusive_queue(fmt::format("{} '{}'", operation, name), name, options);
}
result<exclusive_queue> bus::declare_anonymous_queue(const queue_options& options) {
  return impl_->declare_exclusive_queue("declare anonymous queue", "", options);
}
result<exclusive_queue> bus::impl::declare_exclusive_queue(const std::string& operation,
                                                           std::string_view name,
                                                           const queue_options& options) const {
  auto traits = traits_of(operation, options);
  if (!traits) return traits.error();
  auto slot = levada::declare_queue(*owner, name, *traits, queue_of::one);
  if (!slot) return slot.error();
  return exclusive_queue{std::make_unique<exclusive_queue::impl>(owner, std::move(*slot))};
}

result<std::uint64_t> bus::purge_queue(std::string_view name) {
  auto slot = impl_->shared_queue_of(fmt::format("purge queue '{}'", name), name);
  if (!slot) return slot.error();
  return levada::purge_queue(*impl_->owner, **slot);
}

result<record_batch> bus::peek(std::string_view queue, std::size_t most) const {
  const std::string operation = fmt::format("peek into queue '{}'", queue);
  auto access = impl_->owner->enter(operation);
  if (!access) return access.error();
  const auto slot = impl_->owner->find_queue(queue);
  if (!slot) return error{errc::unknown_queue, fmt::format("{}: there is no such queue", operation)};
  return levada::peek(*impl_->owner, *access, *slot, most);
}

result<void> bus::delete_queue(std::string_view name, const queue_deletion_options& options) {
  auto slot = impl_->shared_queue_of(fmt::format("delete queue '{}'", name), name);
  if (!slot) return slot.error();
  return levada::delete_queue(*impl_->owner, **slot, options);
}

result<void> bus::impl::change_binding(const char* verb, const char* preposition, std::string_view exchange,
                                       const binding_end& to, std::string_view key,
                                       const binding_arguments& arguments,
                                       const change_function& change) const {
  const std::string operation =
      fmt::format("{} {} '{}' {} exchange '{}'", verb, to.is_exchange ? "exchange" : "queue", to.name,
                  preposition, exchange);
  if (auto checked = check_routing_key(operation, key); !checked) return checked;
  auto from = exchange_of(operation, exchange);
  if (!from) return from.error();
  binding_end end = to;
  if (to.is_exchange) {
    auto found = exchange_of(operation, to.name);
    if (!found) return found.error();
    end.id = (*found)->state.id();
  } else {
    auto found = queue_of(operation, to.name);
    if (!found) return found.error();
    end.id = (*found)->state.id();
  }
  return change(*owner, **from, end, key, arguments);
}

result<void> bus::bind(std::string_view exchange, std::string_view queue, std::string_view key,
                       const binding_arguments& arguments, const binding_options& options) {
  const auto from_then = [&options](core& owner, topic_slot& of, const binding_end& to, std::string_view with,
                                    const binding_arguments& given) {
    return levada::bind(owner, of, to, with, given, options);
  };
  return impl_->change_binding("bind", "to", exchange, {0, false, queue}, key, arguments, from_then);
}
result<void> bus::replay_into(std::string_view queue, const start_position& from) {
  auto slot = impl_->shared_queue_of(fmt::format("replay into queue '{}'", queue), queue);
  if (!slot) return slot.error();
  return levada::replay_into(*impl_->owner, **slot, from);
}
result<void> bus::unbind(std::string_view exchange, std::string_view queue, std::string_view key,
                         const binding_arguments& arguments) {
  return impl_->change_binding("unbind", "from", exchange, {0, false, queue}, key, arguments,
                               &levada::unbind);
}
result<void> bus::bind_exchange(std::string_view source, std::string_view destination, std::string_view key,
                                const binding_arguments& arguments) {
  const auto from_now = [](core& owner, topic_slot& of, const binding_end& to, std::string_view with,
                           const binding_arguments& given) {
    return levada::bind(owner, of, to, with, given);
  };
  return impl_->change_binding("bind", "to", source, {0, true, destination}, key, arguments, from_now);
}
result<void> bus::unbind_exchange(std::string_view source, std::string_view destination, std::string_view key,
                                  const binding_arguments& arguments) {
  return impl_->change_binding("unbind", "from", source, {0, true, destination}, key, arguments,
                               &levada::unbind);
}

result<publish_receipt> bus::publish(std::string_view exchange, std::string_view routing_key, const record& r,
                                     const publish_options& options) {
  const std::string operation = fmt::format("publish to exchange '{}'", exchange);
  if (auto entered = impl_->owner->enter(operation); !entered) return entered.error();
  auto what = address(*impl_->owner, operation, exchange, routing_key, r, options);
  if (!what) return what.error();
  route_intent route{*what->exchange, what->content, options};
  if (auto done = impl_->owner->run(operation, route); !done) return done.error();
  return route.receipt();
}

result<explanation> bus::explain(std::string_view exchange, std::string_view routing_key, const record& r,
                                 const publish_options& options) const {
  const std::string operation = fmt::format("explain publishing to exchange '{}'", exchange);
  if (auto entered = impl_->owner->enter(operation); !entered) return entered.error();
  auto what = address(*impl_->owner, operation, exchange, routing_key, r, options);
  if (!what) return what.error();
  route_intent route{*what->exchange, what->content, options};
  explanation told;
  simple_intent asks{[&](commit_scope& scope) -> result<void> {
                       told = route.explain(scope);
                       return {};
                     },
                     nothing_to_apply};
  if (auto done = impl_->owner->run(operation, asks); !done) return done.error();
  return told;
}

result<bool> bus::cancel(const delayed_message& message) {
  const std::string operation = fmt::format("cancel a message to exchange '{}'", message.exchange);
  auto slot = impl_->exchange_of(operation, message.exchange);
  if (!slot) return slot.error();
  return cancel_delayed(*impl_->owner, {message.due.time_since_epoch().count(), (*slot)->state.id(),
                                        message.partition.value(), message.offset.value()});
}
result<bool> bus::cancel(const publish_receipt& receipt) {
  if (!receipt.due) return false;
  return cancel(delayed_message{receipt.topic, receipt.partition, receipt.offset, *receipt.due});
}

result<std::vector<delayed_message>> bus::delayed(std::size_t most) const {
  const auto access = impl_->owner->enter("list delayed messages");
  if (!access) return access.error();
  return list_delayed(*impl_->owner, *access, most);
}

result<std::vector<publish_receipt>> bus::publish(std::span<const message> messages,
                                                  const publish_options& options) {
  const std::string operation = "publish messages";
  if (auto entered = impl_->owner->enter(operation); !entered) return entered.error();
  auto made = routed_messages::make(*impl_->owner, operation, messages, options);
  if (!made) return made.error();
  routed_messages_intent all{*made};
  if (auto done = impl_->owner->run(operation, all); !done) return done.error();
  return made->receipts();
}

result<queue_consumer> bus::consume(std::string_view queue, const queue_consumer_options& options) {
  auto slot = impl_->shared_queue_of(fmt::format("consume from queue '{}'", queue), queue);
  if (!slot) return slot.error();
  auto state = queue_consumer_state::start(impl_->owner, std::move(*slot), options);
  if (!state) return state.error();
  return queue_consumer{std::make_shared<queue_consumer::impl>(std::move(*state))};
}

}  // namespace levada
