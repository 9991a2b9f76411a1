// The inside of a bus: what exists, and by which name.

#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

#include "bus/core.hpp"

namespace levada {

std::shared_ptr<topic_slot> core::find_topic(std::string_view name) const {
  const std::shared_lock guard{names_};
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : found->second;
}

std::shared_ptr<topic_slot> core::find_topic(std::uint32_t id) const {
  const std::shared_lock guard{names_};
  const auto found = topics_by_id_.find(id);
  return found == topics_by_id_.end() ? nullptr : found->second;
}

std::optional<std::uint64_t> core::begin_of(std::uint32_t log, std::uint32_t partition) const {
  const auto topic = find_topic(log);
  if (!topic || partition >= topic->state.partitions()) return std::nullopt;
  return topic->state.begin(partition);
}

storage::codec core::codec_of(std::uint32_t log) const {
  const auto topic = find_topic(log);
  if (!topic) return storage::codec::none;
  const std::shared_lock guard{topic->state.mutex()};
  return static_cast<storage::codec>(topic->state.policy().codec);
}

std::shared_ptr<queue_slot> core::find_queue(std::string_view name) const {
  const std::shared_lock guard{names_};
  const auto found = queues_.find(name);
  return found == queues_.end() ? nullptr : found->second;
}

std::shared_ptr<group_slot> core::find_group(std::string_view name) const {
  const std::shared_lock guard{names_};
  const auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : found->second;
}

std::shared_ptr<table_slot> core::find_table(std::string_view name) const {
  const std::shared_lock guard{names_};
  const auto found = tables_.find(name);
  return found == tables_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<table_slot>> core::all_tables() const {
  const std::shared_lock guard{names_};
  std::vector<std::shared_ptr<table_slot>> all;
  for (const auto& [name, table] : tables_) all.push_back(table);
  return all;
}

std::vector<std::shared_ptr<queue_slot>> core::all_queues() const {
  const std::shared_lock guard{names_};
  std::vector<std::shared_ptr<queue_slot>> all;
  for (const auto& [id, queue] : queues_by_id_) all.push_back(queue);
  return all;
}

std::vector<std::shared_ptr<topic_slot>> core::all_topics() const {
  const std::shared_lock guard{names_};
  std::vector<std::shared_ptr<topic_slot>> all;
  for (const auto& [id, topic] : topics_by_id_) all.push_back(topic);
  return all;
}

std::uint64_t core::bindings_from(std::uint32_t exchange) const {
  const std::shared_lock guard{names_};
  return bindings_.count_from(exchange);
}

queue_slot* core::queue_of_binding(std::uint32_t id) const {
  // Read without the lock: only the committing thread, which this is, changes the map.
  const auto found = queues_by_id_.find(id);
  return found == queues_by_id_.end() ? nullptr : found->second.get();
}

topic_slot* core::exchange_of_binding(std::uint32_t id) const {
  const auto found = topics_by_id_.find(id);
  if (found == topics_by_id_.end() || !found->second->bindings || found->second->orphan) return nullptr;
  return found->second.get();
}

queue_slot* core::queue_named(std::string_view name) const {
  const auto found = queues_.find(name);
  return found == queues_.end() ? nullptr : found->second.get();
}

topic_slot* core::exchange_named(std::string_view name) const {
  const auto found = topics_.find(name);
  return found == topics_.end() || !found->second->bindings ? nullptr : found->second.get();
}

result<std::uint32_t> core::take_id(commit_scope& scope) {
  storage::store_entry& next = scope.store();
  ++next.layout;
  return next.next_id++;
}

void core::add(const storage::log_entry& entry) {
  {
    const std::lock_guard guard{names_};
    auto slot = std::make_shared<topic_slot>(entry);
    if (slot->bindings) slot->set_rules(policies_.rules_for_exchange(entry.name, entry.traits.alternate));
    // None of the rows before are its own: a pass over all logs finds them where the others have them.
    slot->state.drop_rows_through(sealed());
    if (!entry.orphan) topics_.emplace(entry.name, slot);
    topics_by_id_.emplace(entry.id, std::move(slot));
    ++topics_version_;
  }
  topic_watchers_.signal();
}

void core::add(const storage::group_entry& entry, const storage::queue_entry* in_flight) {
  auto slot = std::make_shared<group_slot>(entry.id, entry.name);
  slot->state.set_generation(entry.generation);
  const std::lock_guard guard{names_};
  if (in_flight) {
    slot->in_flight = std::make_shared<queue_slot>(*in_flight);
    // Not found by its name: what a queue permits, it does not.
    queues_by_id_.emplace(in_flight->id, slot->in_flight);
  }
  groups_.emplace(entry.name, std::move(slot));
}

void core::add(const storage::queue_entry& entry) {
  const std::lock_guard guard{names_};
  auto slot = std::make_shared<queue_slot>(entry);
  slot->set_rules(policies_.rules_for_queue(entry.name, entry.traits));
  queues_.emplace(entry.name, slot);
  queues_by_id_.emplace(entry.id, std::move(slot));
}

void core::add(const storage::binding_entry& entry) {
  const std::lock_guard guard{names_};
  topic_slot* const exchange = exchange_of_binding(entry.exchange);
  if (exchange == nullptr) return;
  exchange->bindings->add(entry.key, entry.arguments, entry.destination);
  bindings_.add(entry);
}

void core::put(queue_slot& queue, const storage::backfill_entry& entry) {
  const std::lock_guard guard{names_};
  auto& all = queue.backfills;
  const auto known =
      std::find_if(all.begin(), all.end(), [&entry](const auto& b) { return b.id == entry.id; });
  if (known == all.end()) {
    all.push_back(entry);
    ++backfills_begun_;
  } else {
    *known = entry;
  }
  queue.note_backfills();
}

void core::remove_first_backfill(queue_slot& queue) {
  const std::lock_guard guard{names_};
  queue.backfills.erase(queue.backfills.begin());
  queue.note_backfills();
}

std::vector<storage::backfill_entry::log> core::backfills_from(std::uint32_t log) const {
  const std::shared_lock guard{names_};
  std::vector<storage::backfill_entry::log> all;
  for (const auto& [id, queue] : queues_by_id_) {
    for (const auto& backfill : queue->backfills) {
      for (const auto& of : backfill.logs) {
        if (of.id == log) all.push_back(of);
      }
    }
  }
  return all;
}

void core::add(const storage::table_entry& entry) {
  const std::lock_guard guard{names_};
  tables_.emplace(entry.name, std::make_shared<table_slot>(entry));
}

std::vector<std::shared_ptr<queue_slot>> core::put(const storage::policy_entry& entry) {
  policies_.put(entry);
  return apply_policies();
}

std::vector<std::shared_ptr<queue_slot>> core::remove_policy(std::uint32_t id) {
  policies_.erase(id);
  return apply_policies();
}

std::vector<std::shared_ptr<queue_slot>> core::apply_policies() {
  for (const auto& topic : all_topics()) {
    if (!topic->bindings) continue;
    auto rules = policies_.rules_for_exchange(topic->state.name(), topic->entry.traits.alternate);
    if (rules != topic->rules()) topic->set_rules(std::move(rules));
  }
  std::vector<std::shared_ptr<queue_slot>> changed;
  for (auto& queue : all_queues()) {
    if (queue->of_share_group) continue;
    auto rules = policies_.rules_for_queue(queue->state.name(), queue->declared);
    if (rules == queue->rules()) continue;
    queue->set_rules(std::move(rules));
    changed.push_back(std::move(queue));
  }
  return changed;
}

void core::remove_table(const std::string& name) {
  const std::lock_guard guard{names_};
  const auto found = tables_.find(name);
  if (found == tables_.end()) return;
  found->second->deleted = true;
  tables_.erase(found);
}

void core::add_sealed(const log::sealed_prefix& sealed,
                      const std::vector<std::shared_ptr<const storage::segment_file>>& files) {
  std::vector<log::log_state*> logs;
  for (const auto& [id, topic] : topics_by_id_) {
    logs.push_back(&topic->state);
    if (const auto bytes = sealed.log_bytes.find(id); bytes != sealed.log_bytes.end())
      topic->state.drop_journal_bytes(bytes->second);
  }
  segments_.add(sealed.segments, files, sealed.sequence_last, logs);
  for (const auto& segment : sealed.segments) {
    next_segment_ = std::max(next_segment_.load(), segment.id + 1);
    for (const auto& part : segment.parts) counted_.commits.records_sealed.add_alone(part.records);
  }
  counted_.commits.segments_written.add_alone(sealed.segments.size());
  sealed_ = sealed.sequence_last;
  journal_bytes_ -= sealed.bytes;
}

void core::replace_segments(const std::vector<std::uint32_t>& old,
                            const std::vector<storage::segment_entry>& segments,
                            const std::vector<std::shared_ptr<const storage::segment_file>>& files) {
  std::vector<log::log_state*> logs;
  for (const auto& [id, topic] : topics_by_id_) logs.push_back(&topic->state);
  segments_.replace(old, segments, files, logs);
  for (const auto& segment : segments) next_segment_ = std::max(next_segment_.load(), segment.id + 1);
  counted_.commits.segments_written.add_alone(segments.size());
  note_dropped(old);
}

void core::note_dropped(const std::vector<std::uint32_t>& ids) {
  counted_.commits.segments_removed.add_alone(ids.size());
  const std::lock_guard guard{dropped_mutex_};
  for (const std::uint32_t id : ids) dropped_.push_back(log::segment_path(store_->segments, id));
}

void core::remove_segments(const std::vector<std::uint32_t>& ids) {
  segments_.remove(ids);
  note_dropped(ids);
}

std::vector<std::filesystem::path> core::take_dropped() {
  const std::lock_guard guard{dropped_mutex_};
  return std::exchange(dropped_, {});
}

void core::remove_topic(std::uint32_t id) {
  std::shared_ptr<topic_slot> topic;
  {
    const std::lock_guard guard{names_};
    const auto found = topics_by_id_.find(id);
    if (found == topics_by_id_.end()) return;
    topic = std::move(found->second);
    topics_by_id_.erase(found);
    if (!topic->orphan) topics_.erase(topic->state.name());
    // Before anybody sees that it is deleted: whoever does then finds it gone.
    ++topics_version_;
  }
  topic->state.set_deleted();
  tell_gone(*topic);
  ask_for_sweep();
  if (logger() != nullptr)
    logger()->debug("levada: topic '{}' of '{}' deleted", topic->state.name(), store_name_);
}

void core::orphan_exchange(std::uint32_t id) {
  std::shared_ptr<topic_slot> exchange;
  {
    const std::lock_guard guard{names_};
    exchange = topics_by_id_.at(id);
    topics_.erase(exchange->state.name());
    exchange->orphan = exchange->entry.orphan = true;
    ++topics_version_;
  }
  tell_gone(*exchange);
  maintenance_.wake();
  if (logger() != nullptr)
    logger()->debug("levada: exchange '{}' of '{}' deleted", exchange->state.name(), store_name_);
}

void core::tell_gone(topic_slot& topic) {
  std::vector<std::shared_ptr<group_slot>> groups;
  {
    const std::shared_lock guard{names_};
    for (const auto& [name, group] : groups_) groups.push_back(group);
  }
  // Not under the lock of names, which others take while they hold a group's.
  for (const auto& group : groups) {
    {
      const std::lock_guard guard{group->mutex};
      group->state.forget_topic(topic.state.name(), time().steady());
    }
    group->members.signal();
  }
  topic.readers.signal();
  readers_.signal();
}

void core::remove_group(const std::string& name) {
  const auto group = find_group(name);
  if (!group) return;
  const std::lock_guard guard{group->mutex};
  group->deleted = true;
  const std::lock_guard names_guard{names_};
  groups_.erase(name);
  deleted_groups_.rebalances += group->state.rebalances();
  deleted_groups_.fenced += group->state.fenced();
  deleted_groups_.possible_duplicates += group->state.possible_duplicates();
}

void core::remove_binding(std::uint32_t id) {
  const std::lock_guard guard{names_};
  const auto gone = bindings_.remove(id);
  if (!gone) return;
  const auto exchange = topics_by_id_.find(gone->exchange);
  if (exchange == topics_by_id_.end()) return;
  // Where arguments say nothing, another binding may be alike.
  if (exchange->second->type() != exchange_type::headers && bindings_.has_key(*gone)) return;
  exchange->second->bindings->remove(gone->key, gone->arguments, gone->destination);
}

void core::remove_queue(std::uint32_t id) {
  std::shared_ptr<queue_slot> queue;
  {
    const std::lock_guard guard{names_};
    const auto found = queues_by_id_.find(id);
    if (found == queues_by_id_.end()) return;
    queue = std::move(found->second);
    queues_by_id_.erase(found);
    if (!queue->of_share_group) queues_.erase(queue->state.name());
  }
  queue->state.deleted = true;
  shared_.remove(*queue);
  queue->waiting.signal();
}

}  // namespace levada
