#include "bus/producer_append.hpp"

#include <fmt/format.h>

#include "log/producer_table.hpp"

namespace levada {

publish_receipt producer_batch::receipt(const log::log_state& log, const place& of) const {
  return {log.name(), of.partition, append->base_offset(of.encoder) + of.index,
          of.time ? log::to_time(*of.time) : append->time(), 0};
}

batch_receipt producer_batch::receipt(const log::log_state& log) const {
  batch_receipt all{log.name(), {}, append->time()};
  for (std::size_t i = 0; i < whole_rows.size(); ++i) {
    all.ranges.push_back(
        {partition_id{whole_rows[i]->partition()}, append->base_offset(i), whole_rows[i]->records()});
  }
  return all;
}

result<void> producer_append::execute(commit_scope& scope) {
  if (producer_.id.empty()) return batch_->append->execute(scope);
  if (topic_->state.deleted()) return topic_is_deleted(topic_->state);
  const std::uint32_t log = topic_->state.id();
  const auto& sequences = batch_->sequences;
  auto stored = log::read_producer(scope.txn(), scope.tables(), log, producer_.id);
  if (!stored) return stored.error();
  if (!*stored || (*stored)->epoch != producer_.epoch) {
    return error{errc::fenced,
                 fmt::format("another producer '{}' has been made for the topic", producer_.id)};
  }
  if ((*stored)->last_sequence != sequences.previous) {
    return error{errc::out_of_order_sequence,
                 fmt::format("sequence {} of producer '{}' comes behind {}, which is not stored",
                             sequences.first, producer_.id, sequences.previous)};
  }
  if (auto appended = batch_->append->execute(scope); !appended) return appended;
  return scope.written(log::write_producer(scope.txn(), scope.tables(), log, producer_.id,
                                           {sequences.last, producer_.epoch, scope.now()}));
}

}  // namespace levada
