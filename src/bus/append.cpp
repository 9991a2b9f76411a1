#include "bus/append.hpp"

#include <fmt/format.h>

namespace levada {

std::string append_operation(const log::log_state& log) {
  return fmt::format("publish to topic '{}'", log.name());
}

result<void> check_record_size(std::string_view operation, std::size_t size, std::size_t limit) {
  if (size <= limit) return {};
  return error{errc::record_too_large,
               fmt::format("{}: the record has {} bytes encoded, the limit is {}", operation, size, limit)};
}

error unknown_partition(const log::log_state& log, partition_id partition) {
  return {errc::unknown_partition,
          fmt::format("publish to topic '{}', partition {}: the topic has {} partition{}", log.name(),
                      partition.value(), log.partitions(), log.partitions() == 1 ? "" : "s")};
}

error topic_is_deleted(const log::log_state& log) {
  return {errc::unknown_topic, fmt::format("topic '{}' has been deleted", log.name())};
}

void set_time(const core& owner, const log::log_state& log, log::record_source& source) {
  if (!log.create_time()) {
    source.time.reset();
  } else if (!source.time) {
    source.time = owner.bus_time();
  }
}

result<void> append_intent::execute(commit_scope& scope) {
  if (topic_.state.deleted()) return topic_is_deleted(topic_.state);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    auto base = scope.append(topic_, *rows_[i]);
    if (!base) return base.error();
    base_offsets_[i] = *base;
  }
  time_ = scope.now();
  return {};
}

result<single_append> single_append::make(const core& owner, topic_slot& topic,
                                          std::optional<partition_id> partition, const record& r) {
  const log::log_state& log = topic.state;
  if (partition && partition->value() >= log.partitions()) return unknown_partition(log, *partition);
  const auto extras = log::encode_extras({}, r);
  if (!extras) return extras.error();
  auto source = log::source_of(r, *extras);
  if (!source) return source.error();
  set_time(owner, log, *source);
  const auto fits =
      check_record_size(append_operation(log), source->size(), owner.options().record_bytes_max);
  if (!fits) return fits.error();
  if (!partition) {
    partition =
        r.key()
            ? partition_for_key(*r.key(), log.partitions())
            : partition_id{topic.next_partition.fetch_add(1, std::memory_order_relaxed) % log.partitions()};
  }
  single_append made{log, *partition, source->time};
  made.rows_.add(*source);
  made.rows_.finish();
  return made;
}

publish_receipt single_append::receipt(const append_intent& done) const {
  return {log_->name(), partition_id{rows_.partition()}, done.base_offset(0),
          time_ ? log::to_time(*time_) : done.time(), 0};
}

}  // namespace levada
