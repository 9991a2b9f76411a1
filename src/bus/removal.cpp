#include "bus/removal.hpp"

namespace levada {

void removal::queue(std::uint32_t id) {
  if (!queues_.insert(id).second) return;
  for (const std::uint32_t b : owner_.bindings().to(id)) binding(b);
}

void removal::exchange(std::uint32_t id) {
  if (!exchanges_.insert(id).second) return;
  for (const std::uint32_t b : owner_.bindings().from(id)) binding(b);
  for (const std::uint32_t b : owner_.bindings().to(id)) binding(b);
}

void removal::binding(std::uint32_t id) {
  const auto* const entry = owner_.bindings().find(id);
  if (entry == nullptr || !bindings_.insert(id).second) return;
  const std::uint32_t source = entry->exchange;
  const bool last = ++gone_from_[source] == owner_.bindings().count_from(source);
  const topic_slot* const from = owner_.exchange_of_binding(source);
  if (last && from != nullptr && from->entry.traits.auto_delete) exchange(source);
}

result<void> removal::erase(commit_scope& scope) const {
  for (const std::uint32_t id : bindings_) {
    auto erased = scope.written(storage::erase_binding(scope.txn(), scope.tables(), id));
    if (!erased) return erased;
  }
  for (const std::uint32_t id : queues_) {
    auto erased = scope.written(storage::erase_queue(scope.txn(), scope.tables(), id));
    if (!erased) return erased;
    const queue_slot* const queue = owner_.queue_of_binding(id);
    if (queue == nullptr) continue;
    for (const auto& backfill : queue->backfills) {
      erased = scope.written(storage::erase_backfill(scope.txn(), scope.tables(), backfill.id));
      if (!erased) return erased;
    }
  }
  for (const std::uint32_t id : exchanges_) {
    storage::log_entry left = owner_.exchange_of_binding(id)->entry;
    left.orphan = true;
    if (auto stored = scope.written(storage::put(scope.txn(), scope.tables(), left)); !stored) return stored;
  }
  return {};
}

void removal::apply(core& owner) const {
  for (const std::uint32_t id : bindings_) owner.remove_binding(id);
  for (const std::uint32_t id : queues_) {
    if (const queue_slot* const queue = owner.queue_of_binding(id)) {
      for (const auto& backfill : queue->backfills) owner.backfills().forget(backfill.id);
    }
    owner.remove_queue(id);
  }
  for (const std::uint32_t id : exchanges_) owner.orphan_exchange(id);
}

}  // namespace levada
