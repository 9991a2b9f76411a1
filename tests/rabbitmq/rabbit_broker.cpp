#include <rabbitmq/rabbit_broker.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace levada::rabbit {

namespace {

constexpr channel topology_channel = 1;
constexpr channel publishing_channel = 2;

outcome outcome_of(const reply& r) {
  switch (r.code) {
    case 0:
      return outcome::ok;
    case 403:
      return outcome::refused;
    case 404:
      return outcome::not_found;
    case 405:
      return outcome::locked;
    case 406:
      return outcome::precondition_failed;
    default:
      throw std::runtime_error{fmt::format("RabbitMQ answered {} {}", r.code, r.text)};
  }
}

answer answer_of(const reply& r) {
  answer a;
  a.result = outcome_of(r);
  return a;
}

answer counted(const reply& r) {
  answer a = answer_of(r);
  if (a.result == outcome::ok) a.ready = r.count;
  return a;
}

field_table arguments_of(const queue_arguments& a) {
  field_table table;
  if (a.length_max) table.emplace_back("x-max-length", std::int64_t{*a.length_max});
  if (a.bytes_max) table.emplace_back("x-max-length-bytes", std::int64_t{*a.bytes_max});
  if (a.when_full) table.emplace_back("x-overflow", std::string{to_text(*a.when_full)});
  if (a.expire_at_once) table.emplace_back("x-message-ttl", std::int64_t{0});
  if (a.dead_letter_exchange) table.emplace_back("x-dead-letter-exchange", *a.dead_letter_exchange);
  if (a.dead_letter_key) table.emplace_back("x-dead-letter-routing-key", *a.dead_letter_key);
  if (a.priority_max) table.emplace_back("x-max-priority", std::int64_t{*a.priority_max});
  return table;
}

}  // namespace

std::optional<std::uint32_t> rabbit_broker::depth(const std::string& queue) {
  const reply r = client_.declare_queue(topology_channel, queue, {.passive = true});
  if (outcome_of(r) != outcome::ok) return std::nullopt;
  return r.count;
}

rabbit_broker::consumer& rabbit_broker::consumer_of(const std::string& queue) {
  const auto known = consumers_.find(queue);
  if (known != consumers_.end()) return known->second;
  return consumers_.try_emplace(queue, consumer{next_delivery_channel_++, {}}).first->second;
}

answer rabbit_broker::apply(const declare_exchange& op) {
  field_table arguments;
  if (op.alternate) arguments.emplace_back("alternate-exchange", *op.alternate);
  const exchange_properties properties{
      .auto_delete = op.auto_delete, .internal = op.internal, .passive = op.passive};
  return answer_of(
      client_.declare_exchange(topology_channel, op.name, to_text(op.kind), properties, arguments));
}

answer rabbit_broker::apply(const delete_exchange& op) {
  return answer_of(client_.delete_exchange(topology_channel, op.name, op.if_unused));
}

answer rabbit_broker::apply(const declare_queue& op) {
  return counted(
      client_.declare_queue(topology_channel, op.name, {.passive = op.passive}, arguments_of(op.arguments)));
}

answer rabbit_broker::apply(const delete_queue& op) {
  answer a = counted(client_.delete_queue(topology_channel, op.name, op.if_unused, op.if_empty));
  // Their channel still knows the unsettled deliveries, and `multiple` would settle them too: in a new queue
  // of the same name, whose process RabbitMQ 3.10 thereby crashes. So the next deliveries use another
  // channel.
  if (a.result == outcome::ok) consumers_.erase(op.name);
  return a;
}

answer rabbit_broker::apply(const bind& op) {
  return answer_of(op.to_exchange
                       ? client_.bind_exchange(topology_channel, op.target, op.source, op.key, op.arguments)
                       : client_.bind_queue(topology_channel, op.target, op.source, op.key, op.arguments));
}

answer rabbit_broker::apply(const unbind& op) {
  return answer_of(op.to_exchange
                       ? client_.unbind_exchange(topology_channel, op.target, op.source, op.key, op.arguments)
                       : client_.unbind_queue(topology_channel, op.target, op.source, op.key, op.arguments));
}

answer rabbit_broker::apply(const publish& op) {
  outgoing what;
  what.headers = op.headers;
  what.priority = op.priority;
  if (op.expire_at_once) what.expiration.emplace("0");
  what.body = op.body;
  publish_reply r = client_.publish(publishing_channel, op.exchange, op.key, what, op.mandatory);
  host_.settle();
  answer a = answer_of(r.result);
  a.confirm = r.confirm;
  if (r.returned.size() > 1) throw std::runtime_error{"RabbitMQ returned a message twice"};
  if (!r.returned.empty()) a.returned = std::move(r.returned.front());
  return a;
}

answer rabbit_broker::apply(const get& op) {
  if (!depth(op.queue)) {
    answer missing;
    missing.result = outcome::not_found;
    return missing;
  }
  consumer& c = consumer_of(op.queue);
  get_reply r = client_.get(c.number, op.queue, op.auto_ack);
  // What lies behind the message may have expired now that it is the head.
  host_.settle();
  answer a = answer_of(r.result);
  if (a.result == outcome::ok && !r.delivered) a.result = outcome::empty;
  if (r.delivered && !op.auto_ack) c.tags.push_back(r.tag);
  a.delivered = std::move(r.delivered);
  // RabbitMQ counts before dead letters of what expired have come back.
  if (a.delivered) a.delivered->remaining = depth(op.queue).value();
  return a;
}

answer rabbit_broker::apply(const settle& op) {
  consumer& c = consumer_of(op.queue);
  if (c.tags.empty()) {
    answer nothing;
    nothing.result = outcome::nothing_to_settle;
    return nothing;
  }
  const auto position = static_cast<std::ptrdiff_t>(op.position % c.tags.size());
  const auto last = c.tags.begin() + position;
  reply r;
  switch (op.how) {
    case settlement::ack:
      r = client_.ack(c.number, *last, op.multiple);
      break;
    case settlement::nack:
      r = client_.nack(c.number, *last, op.multiple, op.requeue);
      break;
    case settlement::reject:
      r = client_.reject(c.number, *last, op.requeue);
      break;
  }
  c.tags.erase(op.multiple ? c.tags.begin() : last, last + 1);
  host_.settle();
  return answer_of(r);
}

answer rabbit_broker::apply(const purge& op) {
  return counted(client_.purge_queue(topology_channel, op.queue));
}

}  // namespace levada::rabbit
