#include "bus/commit_scope.hpp"

#include <fmt/format.h>

#include <mutex>
#include <span>

#include "bus/core.hpp"
#include "storage/errors.hpp"

namespace levada {
namespace {

/// How far the journal grows between two calls for sealing.
constexpr std::uint64_t seal_step = std::uint64_t{64} << 10;

}  // namespace

const storage::main_tables& commit_scope::tables() const noexcept {
  return core_.store_->main.tables();
}

result<std::uint64_t> commit_scope::append(topic_slot& topic, log::row_encoder& rows) {
  if (topic.staged_ends.empty()) {
    topic.staged_ends.resize(topic.state.partitions());
    for (std::uint32_t p = 0; p < topic.state.partitions(); ++p) topic.staged_ends[p] = topic.state.end(p);
    topics_.push_back(&topic);
  }
  if (!journal_) {
    auto c = written(storage::cursor::open(txn_, tables().journal));
    if (!c) return c.error();
    journal_.emplace(std::move(*c));
  }
  const log::row_encoder::stamp at{core_.next_sequence() + rows_appended_,
                                   topic.staged_ends[rows.partition()], now_, core_.store_entry_.epoch};
  std::uint64_t base = at.base_offset;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const std::uint64_t sequence = at.sequence + i;
    const std::uint64_t key = storage::big_endian(sequence);
    if (const int rc = journal_->append(std::as_bytes(std::span{&key, 1}), rows.stamped_row(i, at));
        rc != 0) {
      broken_ = true;
      return storage::lmdb_error(
          rc, fmt::format("append to topic '{}' partition {}", topic.state.name(), rows.partition()));
    }
    if (const std::uint32_t count = rows.records_in(i); count > 0) {
      added_rows_.push_back({&topic, sequence, base, rows.time_last(i, at), rows.partition(), count});
      base += count;
    }
  }
  topic.staged_bytes += rows.bytes();
  rows_appended_ += rows.rows();
  bytes_appended_ += rows.bytes();
  counts_.records += base - at.base_offset;
  topic.staged_ends[rows.partition()] = base;
  return at.base_offset;
}

queue::queue_row& commit_scope::row_of(queue_slot& queue) {
  if (!queue.staged_row) {
    queue.staged_row = queue.state.row();
    queues_.push_back(&queue);
  }
  return *queue.staged_row;
}

void commit_scope::enqueue(queue_slot& queue, const queue::reference& where) {
  static_cast<void>(row_of(queue));
  queue.staged_entries.push_back(where);
  ++counts_.routed;
}

result<void> commit_scope::settle(queue_slot& queue, const std::vector<std::uint64_t>& positions) {
  auto settled = written(queue::settle(txn_, tables(), queue.state.id(), positions));
  if (!settled) return settled;
  row_of(queue).settled += positions.size();
  counts_.settled += positions.size();
  return settled;
}

storage::store_entry& commit_scope::store() {
  if (!store_) store_ = core_.store_entry_;
  return *store_;
}

result<void> commit_scope::write_staged() {
  if (store_) {
    if (auto stored = written(storage::put(txn_, tables(), *store_)); !stored) return stored;
  }
  for (queue_slot* const queue : queues_) {
    queue::queue_row& row = *queue->staged_row;
    if (!queue->staged_entries.empty()) {
      auto appended = written(queue::append(txn_, tables(), queue->state.id(), row, queue->staged_entries));
      if (!appended) return appended;
      if (queue->state.consumers.load(std::memory_order_acquire) > 0) row.exposed = row.tail;
    }
    auto stored = written(queue::write_row(txn_, tables(), queue->state.id(), row));
    if (!stored) return stored;
  }
  return {};
}

void commit_scope::forget() noexcept {
  for (topic_slot* const topic : topics_) {
    topic->staged_ends.clear();
    topic->staged_bytes = 0;
  }
  for (queue_slot* const queue : queues_) {
    queue->staged_row.reset();
    queue->staged_entries.clear();
  }
  store_.reset();
}

void commit_scope::publish() {
  // Neighbouring rows of one topic share one locking.
  for (std::size_t i = 0; i < added_rows_.size();) {
    topic_slot& topic = *added_rows_[i].topic;
    const std::lock_guard guard{topic.state.mutex()};
    for (; i < added_rows_.size() && added_rows_[i].topic == &topic; ++i) {
      const added_row& row = added_rows_[i];
      topic.state.add_row(row.sequence, row.partition, row.base_offset, row.count, row.time_last);
    }
  }
  for (topic_slot* const topic : topics_) topic->state.add_journal_bytes(topic->staged_bytes);
  if (rows_appended_ > 0) core_.next_sequence_.fetch_add(rows_appended_, std::memory_order_release);
  const std::uint64_t before = core_.journal_bytes_.fetch_add(bytes_appended_, std::memory_order_acq_rel);
  const std::uint64_t after = before + bytes_appended_;
  // Not with every commit, as sealing may fail for a while.
  if (after >= core_.options().journal_bytes_seal && before / seal_step != after / seal_step) {
    core_.maintenance_.wake();
  }
  for (queue_slot* const queue : queues_) queue->state.committed(*queue->staged_row);
  for (topic_slot* const topic : topics_) topic->readers.signal();
  if (!topics_.empty()) core_.readers_.signal();
  for (queue_slot* const queue : queues_) {
    if (!queue->staged_entries.empty()) queue->waiting.signal();
  }
}

}  // namespace levada
