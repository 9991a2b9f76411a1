#include <rabbitmq/levada_broker.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include <levada/async.hpp>
#include <levada/dead_letter.hpp>

namespace levada::rabbit {

namespace {

/// Its name is none of `queue_names()`.
constexpr const char* idle_queue = "idle";
constexpr std::uint16_t no_route = 312;

outcome outcome_of(const error& e) {
  switch (e.code()) {
    case errc::unknown_exchange:
    case errc::unknown_queue:
      return outcome::not_found;
    case errc::access_refused:
      return outcome::refused;
    case errc::resource_locked:
      return outcome::locked;
    case errc::inequivalent:
    case errc::in_use:
    case errc::not_empty:
    case errc::invalid_argument:
      return outcome::precondition_failed;
    default:
      throw std::runtime_error{"levada answered: " + e.message()};
  }
}

template <class T>
answer answer_of(const result<T>& r) {
  answer a;
  if (!r) a.result = outcome_of(r.error());
  return a;
}

/// Of what a history cannot make fail.
template <class T>
T sure(result<T> r) {
  if (!r) throw std::runtime_error{"levada failed: " + r.error().message()};
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}

exchange_type type_of(exchange_kind kind) {
  switch (kind) {
    case exchange_kind::direct:
      return exchange_type::direct;
    case exchange_kind::fanout:
      return exchange_type::fanout;
    case exchange_kind::topic:
      return exchange_type::topic;
    case exchange_kind::headers:
      return exchange_type::headers;
  }
  throw std::runtime_error{"an unknown kind of exchange"};
}

levada::overflow overflow_of(overflow when_full) {
  switch (when_full) {
    case overflow::drop_head:
      return levada::overflow::drop_head;
    case overflow::reject_publish:
      return levada::overflow::reject_publish;
    case overflow::reject_publish_dlx:
      return levada::overflow::reject_publish_dlx;
  }
  throw std::runtime_error{"an unknown overflow"};
}

queue_options options_of(const queue_arguments& a) {
  queue_options o;
  o.max_priority = a.priority_max;
  o.max_length = a.length_max;
  o.max_length_bytes = a.bytes_max;
  if (a.when_full) o.overflow = overflow_of(*a.when_full);
  if (a.expire_at_once) o.message_ttl.emplace(0);
  o.dead_letter_exchange = a.dead_letter_exchange;
  o.dead_letter_routing_key = a.dead_letter_key;
  return o;
}

header_value value_of(const field_value& value) {
  return std::visit([](const auto& v) { return header_value{v}; }, value);
}

field_value value_of(const header_value_view& value) {
  return std::visit(
      [](const auto& v) -> field_value {
        using type = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<type, std::string_view>) {
          return std::string{v};
        } else if constexpr (std::is_constructible_v<field_value, std::in_place_type_t<type>, type>) {
          return v;
        } else {
          throw std::runtime_error{"levada delivered a header of a type that no history holds"};
        }
      },
      value);
}

binding_arguments arguments_of(const field_table& table) {
  binding_arguments arguments;
  for (const auto& [name, value] : table) arguments.emplace_back(name, value_of(value));
  return arguments;
}

std::string text_of(const header_value_view& value) {
  return std::string{std::get<std::string_view>(value)};
}

message message_of(const record_view& r) {
  message m;
  m.exchange = r.topic();
  m.key = r.routing_key();
  m.body = r.value();
  const auto properties = r.properties();
  m.priority = properties.priority;
  if (properties.expiration) m.expiration = fmt::format("{}", properties.expiration->count());
  for (const levada::death& d : deaths_of(r)) {
    death& known = m.deaths.emplace_back();
    known.queue = d.queue;
    known.reason = levada::to_text(d.reason);
    known.count = static_cast<std::int64_t>(d.count);
    known.exchange = d.exchange;
    known.routing_keys = {d.routing_key};
    if (d.original_expiration) {
      known.original_expiration = fmt::format("{}", d.original_expiration->count());
    }
  }
  first_death first;
  bool has_died = false;
  for (const header_view& h : r.headers()) {
    if (h.name == "x-death") continue;
    if (!h.name.starts_with("x-first-death-")) {
      m.headers.emplace_back(h.name, value_of(h.value));
      continue;
    }
    has_died = true;
    if (h.name.ends_with("queue")) first.queue = text_of(h.value);
    if (h.name.ends_with("reason")) first.reason = text_of(h.value);
    if (h.name.ends_with("exchange")) first.exchange = text_of(h.value);
  }
  if (has_died) m.first = first;
  std::sort(m.headers.begin(), m.headers.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return m;
}

bus open(const std::shared_ptr<manual_clock>& clock) {
  bus_options o;
  o.clock = clock;
  o.maintenance = maintenance_mode::on_call;
  return sure(bus::open_in_memory(o));
}

queue_consumer consume(bus& of, const std::string& queue) {
  return sure(of.consume(queue, {.prefetch = 1}));
}

}  // namespace

levada_broker::levada_broker()
    : bus_{open(clock_)}, idle_{(sure(bus_.declare_queue(idle_queue)), consume(bus_, idle_queue))} {}

std::optional<std::uint32_t> levada_broker::depth(const std::string& queue) {
  const auto info = bus_.queue(queue);
  if (!info) {
    static_cast<void>(outcome_of(info.error()));
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(info->messages - info->unacked);
}

void levada_broker::pass_time() {
  constexpr std::chrono::milliseconds moment{1};
  std::promise<void> over;
  idle_.async_receive(moment, [&](const auto&) { over.set_value(); });
  // What expired before comes before this time-out.
  clock_->advance(moment);
  over.get_future().wait();
  // Commits are made in the order in which they were asked for.
  sure(bus_.declare_queue(idle_queue));
}

void levada_broker::wait_for_expiry() {
  // What has expired leaves a queue by being settled. Its dead letter may expire where it arrives.
  for (std::uint64_t before = sure(bus_.stats()).queues.settled;;) {
    pass_time();
    const std::uint64_t after = sure(bus_.stats()).queues.settled;
    if (after == before) return;
    before = after;
  }
}

answer levada_broker::apply(const declare_exchange& op) {
  if (op.passive) return answer_of(bus_.exchange(op.name));
  exchange_options o;
  o.type = type_of(op.kind);
  o.auto_delete = op.auto_delete;
  o.internal = op.internal;
  o.alternate_exchange = op.alternate.value_or("");
  o.overflow = overflow_scope::queue;
  return answer_of(bus_.declare_exchange(op.name, o));
}

answer levada_broker::apply(const delete_exchange& op) {
  return answer_of(bus_.delete_exchange(op.name, {.if_unused = op.if_unused}));
}

answer levada_broker::apply(const declare_queue& op) {
  answer a = op.passive ? answer_of(bus_.queue(op.name))
                        : answer_of(bus_.declare_queue(op.name, options_of(op.arguments)));
  if (a.result == outcome::ok) a.ready = depth(op.name);
  return a;
}

answer levada_broker::apply(const delete_queue& op) {
  const auto held = depth(op.name);
  answer a = answer_of(bus_.delete_queue(op.name, {.if_unused = op.if_unused, .if_empty = op.if_empty}));
  if (a.result != outcome::ok) return a;
  a.ready = held;
  unsettled_.erase(op.name);
  return a;
}

answer levada_broker::apply(const bind& op) {
  const auto arguments = arguments_of(op.arguments);
  return answer_of(op.to_exchange ? bus_.bind_exchange(op.source, op.target, op.key, arguments)
                                  : bus_.bind(op.source, op.target, op.key, arguments));
}

answer levada_broker::apply(const unbind& op) {
  const auto arguments = arguments_of(op.arguments);
  return answer_of(op.to_exchange ? bus_.unbind_exchange(op.source, op.target, op.key, arguments)
                                  : bus_.unbind(op.source, op.target, op.key, arguments));
}

answer levada_broker::apply(const publish& op) {
  record r{op.body};
  for (const auto& [name, value] : op.headers) r.header(name, value_of(value));
  if (op.priority) r.priority(*op.priority);
  if (op.expire_at_once) r.expiration(std::chrono::milliseconds{0});
  const auto receipt = bus_.publish(op.exchange, op.key, r, {.mandatory = op.mandatory});
  answer a;
  if (receipt) {
    a.confirm = receipt->refused > 0 ? verdict::nacked : verdict::confirmed;
  } else if (receipt.error() == errc::unroutable) {
    a.returned = returned{no_route, op.exchange, op.key, op.body};
  } else if (receipt.error() == errc::queue_full) {
    a.confirm = verdict::nacked;  // the default exchange's
  } else {
    a.result = outcome_of(receipt.error());
  }
  wait_for_expiry();
  return a;
}

answer levada_broker::apply(const get& op) {
  answer a = answer_of(bus_.queue(op.queue));
  if (a.result != outcome::ok) return a;
  queue_consumer consumer = consume(bus_, op.queue);
  const auto d = sure(consumer.receive(std::chrono::milliseconds{0}));
  if (!d) {
    a.result = outcome::empty;
  } else if (op.auto_ack) {
    sure(consumer.ack(*d));
  } else {
    unsettled_[op.queue].push_back({std::move(consumer), d->tag()});
  }
  wait_for_expiry();
  if (d) {
    a.delivered = delivered{op.queue, message_of(d->record()), d->redelivered(), depth(op.queue).value()};
  }
  return a;
}

answer levada_broker::apply(const settle& op) {
  auto& all = unsettled_[op.queue];
  answer a;
  if (all.empty()) {
    a.result = outcome::nothing_to_settle;
    return a;
  }
  const auto last = all.begin() + static_cast<std::ptrdiff_t>(op.position % all.size());
  const auto first = op.multiple ? all.begin() : last;
  for (auto one = first; one <= last; ++one) {
    if (op.how == settlement::ack) {
      sure(one->consumer.ack(one->tag));
    } else {
      sure(one->consumer.nack(one->tag, op.requeue ? requeue::yes : requeue::no));
    }
  }
  all.erase(first, last + 1);
  wait_for_expiry();
  return a;
}

answer levada_broker::apply(const purge& op) {
  const auto purged = bus_.purge_queue(op.queue);
  answer a = answer_of(purged);
  wait_for_expiry();
  if (purged) a.ready = static_cast<std::uint32_t>(*purged);
  return a;
}

}  // namespace levada::rabbit
