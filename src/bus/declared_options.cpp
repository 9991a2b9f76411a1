#include "bus/declared_options.hpp"

#include <fmt/format.h>

#include <limits>

#include "bus/log_policies.hpp"
#include "bus/names.hpp"
#include "bus/route.hpp"
#include "queue/queue_blocks.hpp"

namespace levada {

result<storage::queue_traits> traits_of(const std::string& operation, const queue_options& options) {
  const auto refuse = [&](const char* what) {
    return error{errc::invalid_argument, fmt::format("{}: {}", operation, what)};
  };
  storage::queue_traits traits;
  traits.transient = !options.durable;
  if (options.message_ttl) {
    if (options.message_ttl->count() < 0 || *options.message_ttl > queue_time_max)
      return refuse("message_ttl is not negative, and at most 10,000 days");
    traits.message_ttl = options.message_ttl->count();
  }
  constexpr std::uint64_t most = std::uint64_t{1} << 62;
  if (options.max_length.value_or(0) > most || options.max_length_bytes.value_or(0) > most)
    return refuse("max_length and max_length_bytes are at most 2^62");
  traits.max_length = options.max_length;
  traits.max_length_bytes = options.max_length_bytes;
  traits.overflow = static_cast<std::uint8_t>(options.overflow);
  if (options.dead_letter_exchange && !options.dead_letter_exchange->empty()) {
    auto checked = check_name(operation, "dead-letter exchange", *options.dead_letter_exchange);
    if (!checked) return checked.error();
  }
  traits.dead_letter_exchange = options.dead_letter_exchange;
  if (options.dead_letter_routing_key) {
    if (!options.dead_letter_exchange)
      return refuse("dead_letter_routing_key goes with dead_letter_exchange");
    auto checked = check_routing_key(operation, *options.dead_letter_routing_key);
    if (!checked) return checked.error();
  }
  traits.dead_letter_key = options.dead_letter_routing_key;
  if (options.delivery_limit.value_or(0) >= std::numeric_limits<std::uint16_t>::max())
    return refuse("delivery_limit is at most 65,534");
  traits.delivery_limit = options.delivery_limit;
  if (options.redelivery_delay) {
    const redelivery_delay& d = *options.redelivery_delay;
    if (d.first.count() < 1 || d.most < d.first || d.most > queue_time_max)
      return refuse(
          "redelivery_delay.first is at least 1 ms, and at most redelivery_delay.most; that, 10,000 days");
    // Written so that what is not a number is refused.
    if (!(d.factor >= 1 && d.factor <= 1000)) return refuse("redelivery_delay.factor is 1 to 1,000");
    if (!(d.jitter >= 0 && d.jitter <= 1)) return refuse("redelivery_delay.jitter is 0 to 1");
    traits.redelivery = {d.first.count(), d.factor, d.most.count(), d.jitter};
  }
  traits.auto_delete = options.auto_delete;
  if (options.expires) {
    if (options.expires->count() < 1 || *options.expires > queue_time_max)
      return refuse("expires is 1 ms to 10,000 days");
    traits.expires = options.expires->count();
  }
  if (options.max_priority && *options.max_priority < 1) return refuse("max_priority is 1 to 255");
  traits.max_priority = options.max_priority;
  traits.single_active_consumer = options.single_active_consumer;
  return traits;
}

queue_options options_of(const storage::queue_traits& traits) {
  const auto duration = [](const std::optional<std::int64_t>& ms) {
    return ms ? std::optional{std::chrono::milliseconds{*ms}} : std::nullopt;
  };
  queue_options o;
  o.durable = !traits.transient;
  o.message_ttl = duration(traits.message_ttl);
  o.max_length = traits.max_length;
  o.max_length_bytes = traits.max_length_bytes;
  o.overflow = static_cast<overflow>(traits.overflow);
  o.dead_letter_exchange = traits.dead_letter_exchange;
  o.dead_letter_routing_key = traits.dead_letter_key;
  o.delivery_limit = traits.delivery_limit;
  if (traits.redelivery) {
    const auto& d = *traits.redelivery;
    o.redelivery_delay = redelivery_delay{.first = std::chrono::milliseconds{d.first},
                                          .factor = d.factor,
                                          .most = std::chrono::milliseconds{d.most},
                                          .jitter = d.jitter};
  }
  o.auto_delete = traits.auto_delete;
  o.expires = duration(traits.expires);
  o.max_priority = traits.max_priority;
  o.single_active_consumer = traits.single_active_consumer;
  return o;
}

exchange_options options_of(exchange_type type, std::uint32_t partitions,
                            const storage::exchange_traits& traits, const storage::log_policy& policy) {
  exchange_options o;
  o.type = type;
  o.partitions = partitions;
  o.durable = !traits.transient;
  o.auto_delete = traits.auto_delete;
  o.internal = traits.internal;
  o.alternate_exchange = traits.alternate;
  o.hash = static_cast<hash_source>(traits.hash);
  o.hash_header = traits.hash_header;
  o.overflow = static_cast<overflow_scope>(traits.overflow);
  o.delayed = traits.delayed;
  o.retention = retention_of(policy);
  o.compression = compression_of(policy);
  return o;
}

exchange_info info_of(const std::string& name, exchange_type type, std::uint32_t partitions,
                      const storage::exchange_traits& declared, const storage::log_policy& policy,
                      const exchange_rules& rules, std::uint64_t bindings) {
  exchange_info info{name, options_of(type, partitions, declared, policy), bindings};
  info.effective = info.options;
  info.policy = rules.policy;
  info.effective.alternate_exchange = rules.alternate;
  return info;
}

queue_info info_of(const std::string& name, bool exclusive, const queue::amount& held,
                   const storage::queue_traits& declared, const queue_rules& rules) {
  queue_info info;
  info.name = name;
  info.exclusive = exclusive;
  info.messages = held.messages;
  info.bytes = held.bytes;
  info.options = options_of(declared);
  info.effective = options_of(rules);
  info.policy = rules.policy;
  info.operator_policy = rules.operator_policy;
  return info;
}

}  // namespace levada
