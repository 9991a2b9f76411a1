#include "bus/router.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <variant>

#include "bus/core.hpp"
#include "log/record_codec.hpp"

namespace levada {
namespace {

std::string text_of(const header_value_view& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using type = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<type, std::monostate>) {
          return {};
        } else if constexpr (std::is_same_v<type, std::string_view>) {
          return std::string{v};
        } else if constexpr (std::is_same_v<type, std::span<const std::byte>>) {
          return {reinterpret_cast<const char*>(v.data()), v.size()};
        } else if constexpr (std::is_same_v<type, timestamp>) {
          return fmt::format("{}", v.time_since_epoch().count());
        } else {
          return fmt::format("{}", v);
        }
      },
      value);
}

/// Why a binding matches.
std::string reason_of(const topic_slot& exchange, const storage::binding_entry& binding,
                      const routed_message& m) {
  switch (exchange.type()) {
    case exchange_type::fanout:
      return "everything matches";
    case exchange_type::direct:
      return fmt::format("the routing key is '{}'", binding.key);
    case exchange_type::headers:
      return fmt::format("the headers match the {} arguments", binding.arguments.size());
    case exchange_type::consistent_hash:
      return fmt::format("the hash leads there, with weight {}", binding.key);
    default:
      return fmt::format("the routing key '{}' matches the pattern '{}'", m.routing_key(), binding.key);
  }
}

}  // namespace

void match_bindings(const topic_slot& exchange, routing::binding_table& bindings, routed_message& m,
                    std::vector<routing::binding_table::destination>& found) {
  switch (exchange.type()) {
    case exchange_type::headers:
      return bindings.match({{}, m.headers()}, found);
    case exchange_type::consistent_hash:
      return bindings.match({m.hashed(exchange.entry.traits), {}}, found);
    default:
      return bindings.match({m.routing_key(), {}}, found);
  }
}

routed_message::routed_message(const record_view& stored) noexcept
    : routed_message{stored.routing_key(), detail::record_access::extras_of(stored)} {}

const std::vector<header_view>& routed_message::headers() {
  if (!headers_) headers_ = log::headers_in(extras_);
  return *headers_;
}

std::optional<std::int64_t> routed_message::delay() {
  const auto& all = headers();
  const auto found =
      std::find_if(all.begin(), all.end(), [](const header_view& h) { return h.name == "x-delay"; });
  if (found == all.end()) return std::nullopt;
  const auto* const n = std::get_if<std::int64_t>(&found->value);
  return n != nullptr && *n > 0 ? std::optional{*n} : std::nullopt;
}

std::string routed_message::hashed(const storage::exchange_traits& traits) {
  switch (static_cast<hash_source>(traits.hash)) {
    case hash_source::routing_key:
      break;
    case hash_source::header: {
      const auto& all = headers();
      const auto found = std::find_if(all.begin(), all.end(),
                                      [&](const header_view& h) { return h.name == traits.hash_header; });
      return found == all.end() ? std::string{} : text_of(found->value);
    }
    case hash_source::message_id:
      return std::string{log::properties_in(extras_).message_id};
    case hash_source::correlation_id:
      return std::string{log::properties_in(extras_).correlation_id};
  }
  return std::string{routing_key_};
}

void router::route(topic_slot& exchange, routed_message& m, std::vector<queue_slot*>& queues,
                   std::vector<routing_step>* steps) {
  queues.clear();
  exchanges_.assign(1, &exchange);
  for (std::size_t i = 0; i < exchanges_.size(); ++i) {
    ask(*exchanges_[i], m, queues);
    if (steps != nullptr) tell(*exchanges_[i], m, *steps);
  }
  if (exchanges_.size() == 1) return;  // then each was found once
  std::sort(queues.begin(), queues.end(),
            [](const queue_slot* a, const queue_slot* b) { return a->state.id() < b->state.id(); });
  queues.erase(std::unique(queues.begin(), queues.end()), queues.end());
}

void router::ask(topic_slot& exchange, routed_message& m, std::vector<queue_slot*>& queues) {
  const auto also = [this](topic_slot* to) {
    if (to != nullptr && std::find(exchanges_.begin(), exchanges_.end(), to) == exchanges_.end())
      exchanges_.push_back(to);
  };
  if (exchange.state.name().empty()) {
    if (queue_slot* const queue = owner_.queue_named(m.routing_key())) queues.push_back(queue);
    return;
  }
  match_bindings(exchange, *exchange.bindings, m, found_);
  for (const std::uint32_t id : found_) {
    if (queue_slot* const queue = owner_.queue_of_binding(id)) {
      queues.push_back(queue);
    } else {
      also(owner_.exchange_of_binding(id));
    }
  }
  if (found_.empty() && !exchange.rules().alternate.empty())
    also(owner_.exchange_named(exchange.rules().alternate));
}

void router::tell(topic_slot& exchange, routed_message& m, std::vector<routing_step>& steps) const {
  const std::string& name = exchange.state.name();
  if (name.empty()) {
    if (const queue_slot* const queue = owner_.queue_named(m.routing_key()))
      steps.push_back({name, queue->state.name(), false, {}, {}, "the routing key is the queue's name"});
    return;
  }
  std::vector<routing::binding_table::destination> found;
  match_bindings(exchange, *exchange.bindings, m, found);
  for (const std::uint32_t id : owner_.bindings().from(exchange.state.id())) {
    const storage::binding_entry& binding = *owner_.bindings().find(id);
    if (std::find(found.begin(), found.end(), binding.destination) == found.end()) continue;
    if (exchange.type() != exchange_type::consistent_hash) {
      // Of several that lead to one place, some may match.
      routing::binding_table alone{exchange.type()};
      alone.add(binding.key, binding.arguments, binding.destination);
      std::vector<routing::binding_table::destination> reached;
      match_bindings(exchange, alone, m, reached);
      if (reached.empty()) continue;
    }
    const queue_slot* const queue = owner_.queue_of_binding(binding.destination);
    const topic_slot* const further = owner_.exchange_of_binding(binding.destination);
    steps.push_back({name, queue != nullptr ? queue->state.name() : further->state.name(), queue == nullptr,
                     binding.key, binding.arguments, reason_of(exchange, binding, m)});
  }
  const std::string& alternate = exchange.rules().alternate;
  if (found.empty() && !alternate.empty() && owner_.exchange_named(alternate) != nullptr)
    steps.push_back({name, alternate, true, {}, {}, "nothing that is bound matches"});
}

}  // namespace levada
