#include "bus/commit_scope.hpp"

#include <fmt/format.h>

#include <algorithm>
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
    queue.settled_before = queue.staged_row->settled;
    queue.exposed_before = queue.staged_row->exposed;
    queues_.push_back(&queue);
  }
  return *queue.staged_row;
}

void commit_scope::enqueue(queue_slot& queue, const queue::reference& where, std::uint8_t priority) {
  static_cast<void>(row_of(queue));
  auto at = queue.staged_entries.end();
  if (queue.declared.max_priority) {
    const std::size_t lane = queue.lane_for(priority);
    auto& lanes = queue.staged_lanes;
    const auto gone = static_cast<std::ptrdiff_t>(queue.staged_gone);
    const auto behind = std::upper_bound(lanes.begin() + gone, lanes.end(), lane);
    at = queue.staged_entries.begin() + (behind - lanes.begin());
    lanes.insert(behind, lane);
  }
  queue.staged_entries.insert(at, where);
  queue.staged_bytes += where.bytes;
  ++counts_.routed;
}

result<void> commit_scope::fill(queue_slot& queue, std::size_t lane, std::uint64_t at,
                                std::span<const queue::reference> entries) {
  queue::queue_row& row = row_of(queue);
  auto filled = written(queue::fill(txn_, tables(), queue.state.id(), row, lane, at, entries));
  if (!filled) return filled;
  row.settled -= entries.size();  // as which free positions count
  counts_.routed += entries.size();
  release(queue);
  return {};
}

void commit_scope::release(queue_slot& queue) {
  static_cast<void>(row_of(queue));
  queue.staged_release = true;
}

std::uint64_t commit_scope::acquire(queue_slot& in_flight, const queue::reference& where) {
  const std::uint64_t position = row_of(in_flight).tail + in_flight.staged_entries.size();
  in_flight.staged_entries.push_back(where);
  in_flight.staged_bytes += where.bytes;
  return position;
}

result<void> commit_scope::settle(queue_slot& queue, const std::vector<std::uint64_t>& positions) {
  auto settled = written(queue::settle(txn_, tables(), queue.state.id(), positions));
  if (!settled) return settled.error();
  core_.shared().note_settled(queue.state.id(), *settled);
  queue::queue_row& row = row_of(queue);
  row.settled += positions.size();
  row.bytes -= std::min(row.bytes, settled->bytes);
  if (queue.of_share_group) return {};
  queue.staged_settled.messages += positions.size();
  queue.staged_settled.bytes += settled->bytes;
  counts_.settled += positions.size();
  return {};
}

queue::amount commit_scope::ready(const queue_slot& queue) const {
  queue::amount all = queue.state.ready();
  all.messages += queue.staged_entries.size() - queue.staged_gone;
  all.bytes += queue.staged_bytes;
  return all;
}

result<std::optional<queue::reference>> commit_scope::drop_head(queue_slot& queue) {
  // Expired or not, the head is what goes (as in RabbitMQ): passing over it would drop a live one in its
  // place.
  auto taken = queue.state.take(core_.store_->main, 1, now_, queue::flawed::as_well);
  if (!taken) return taken.error();
  static_cast<void>(row_of(queue));  // it is looked after from now on
  // While something is filled in before them, those of this commit are not at the head.
  const bool staged = queue.staged_gone < queue.staged_entries.size() && row_of(queue).bars.empty();
  const bool staged_first = !taken->empty() && staged && !queue.staged_lanes.empty() &&
                            queue.staged_lanes[queue.staged_gone] < queue::lane_of(taken->front().position);
  if (staged_first) queue.state.put_back(taken->front());
  if (!taken->empty() && !staged_first) {
    const queue::taken_entry& first = taken->front();
    queue.staged_taken.push_back(first);
    if (auto settled = settle(queue, {first.position}); !settled) return settled.error();
    return std::optional{first.where};
  }
  if (!staged) return std::optional<queue::reference>{};
  const queue::reference& first = queue.staged_entries[queue.staged_gone++];
  queue.staged_bytes -= first.bytes;
  ++counts_.settled;
  return std::optional{first};
}

void commit_scope::remember(const queue::reference& where, const log::row_encoder& rows) {
  remembered_[{where.log, where.partition, where.offset}] = &rows;
}

const log::row_encoder* commit_scope::remembered(const queue::reference& where) const {
  const auto found = remembered_.find({where.log, where.partition, where.offset});
  return found == remembered_.end() ? nullptr : found->second;
}

storage::store_entry& commit_scope::store() {
  if (!store_) store_ = core_.store_entry_;
  return *store_;
}

void commit_scope::add_to_ledger(const log::record_source& event) {
  if (!ledger_rows_) ledger_rows_.emplace(core_.ledger().topic()->state.id(), 0);
  ledger_rows_->add(event);
}

result<void> commit_scope::write_staged() {
  if (ledger_rows_) {
    ledger_rows_->finish();
    if (auto noted = append(*core_.ledger().topic(), *ledger_rows_); !noted) return noted.error();
  }
  if (store_) {
    if (auto stored = written(storage::put(txn_, tables(), *store_)); !stored) return stored;
  }
  if (auto shared = core_.shared().enter(*this, queues_); !shared) return shared;
  for (queue_slot* const queue : queues_) {
    queue::queue_row& row = *queue->staged_row;
    const bool enters = queue->staged_gone < queue->staged_entries.size();
    if (enters && !queue->sharing.entered) {
      if (auto appended = append_staged(*queue, row); !appended) return appended;
    }
    const bool handed_out = queue->state.consumers.load(std::memory_order_acquire) > 0;
    if ((enters || queue->staged_release) && handed_out) row.expose_all();
    const bool exposes = row.index != 0 && (enters ? handed_out : row.exposes);
    // What has come to the index it is at, its row need not say.
    const bool known = row.index != 0 && queue->sharing.entered && !queue->sharing.moved &&
                       row.settled == queue->settled_before && row.exposes == exposes &&
                       (exposes || row.exposed == queue->exposed_before);
    row.exposes = exposes;
    if (known) continue;
    auto stored = written(queue::write_row(txn_, tables(), queue->state.id(), row));
    if (!stored) return stored;
  }
  return {};
}

result<void> commit_scope::append_staged(queue_slot& queue, queue::queue_row& row) {
  const std::span<const queue::reference> entries{queue.staged_entries};
  for (std::size_t from = queue.staged_gone; from < entries.size();) {
    std::size_t lane = 0;
    std::size_t end = entries.size();
    if (!queue.staged_lanes.empty()) {
      const auto begin = queue.staged_lanes.begin();
      lane = queue.staged_lanes[from];
      end = static_cast<std::size_t>(
          std::upper_bound(begin + static_cast<std::ptrdiff_t>(from), queue.staged_lanes.end(), lane) -
          begin);
    }
    auto appended = written(
        queue::append(txn_, tables(), queue.state.id(), row, entries.subspan(from, end - from), lane));
    if (!appended) return appended;
    from = end;
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
    queue->staged_lanes.clear();
    queue->staged_bytes = 0;
    queue->staged_gone = 0;
    queue->staged_settled = {};
    queue->staged_condemned = 0;
    queue->staged_release = false;
    queue->sharing.arrival = 0;
    queue->sharing.entered = false;
    queue->sharing.moved = false;
    for (const auto& entry : queue->staged_taken) queue->state.put_back(entry);
    queue->staged_taken.clear();
  }
  casualties_.clear();
  remembered_.clear();
  kept_.clear();
  due_.reset();
  settled_messages_.clear();
  ledger_rows_.reset();
  store_.reset();
  core_.shared().forget();
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
  core_.shared().committed();
  for (queue_slot* const queue : queues_) {
    queue->state.committed(*queue->staged_row, queue->staged_settled, queue->staged_condemned);
    queue->tell_end_of_backfills();
    queue->staged_taken.clear();
  }
  if (due_) core_.delays().expect(*due_);
  if (!settled_messages_.empty()) core_.tickets().tell(settled_messages_);
  for (topic_slot* const topic : topics_) topic->readers.signal();
  if (!topics_.empty()) core_.readers_.signal();
  for (queue_slot* const queue : queues_) {
    if (!queue->staged_entries.empty() || queue->staged_release) queue->waiting.signal();
    if (queue->staged_settled.messages > 0 && !queue->backfills.empty()) core_.backfills().look_soon(*queue);
    if (queue->staged_row->left() == 0) queue->attended = queue->always_attended();
    core_.attendant_.look_after(*queue);
  }
}

}  // namespace levada
