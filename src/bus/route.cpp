#include "bus/route.hpp"

#include <fmt/format.h>

#include "bus/append.hpp"
#include "log/record_codec.hpp"

namespace levada {

result<void> check_routing_key(std::string_view operation, std::string_view key) {
  if (key.size() <= routing_key_bytes_max) return {};
  return error{errc::field_too_long, fmt::format("{}: the routing key has {} bytes, the limit is {}",
                                                 operation, key.size(), routing_key_bytes_max)};
}

result<routed_append> routed_append::make(const core& owner, const topic_slot& exchange,
                                          std::string_view operation, std::string_view routing_key,
                                          const record& r) {
  const auto extras = log::encode_extras(routing_key, r);
  if (!extras) return extras.error();
  const auto source = log::source_of(r, *extras);
  if (!source) return source.error();
  const auto fits = check_record_size(operation, source->size(), owner.options().record_bytes_max);
  if (!fits) return fits.error();
  const auto& log = exchange.state;
  routed_append made{routing_key, log.id(), partition_for_key(routing_key, log.partitions()).value()};
  made.rows_.add(*source);
  made.rows_.finish();
  return made;
}

result<void> route_intent::execute(commit_scope& scope) {
  auto base = scope.append(exchange_, message_.rows());
  if (!base) return base.error();
  base_offset_ = *base;
  time_ = scope.now();
  exchange_.bindings->match(message_.routing_key(), queues_);
  routed_ = 0;
  for (const std::uint32_t id : queues_) {
    queue_slot* const queue = scope.owner().queue_of_binding(id);
    if (queue == nullptr) continue;
    scope.enqueue(*queue, {exchange_.state.id(), message_.rows().partition(), base_offset_});
    ++routed_;
  }
  if (routed_ == 0) ++scope.counts().unroutable;
  return {};
}

publish_receipt route_intent::receipt() const {
  return {exchange_.state.name(), partition_id{message_.rows().partition()}, offset{base_offset_},
          timestamp{std::chrono::microseconds{time_}}, routed_};
}

}  // namespace levada
