#include "queue/queue_state.hpp"

namespace levada::queue {

result<void> queue_state::load(const storage::transaction& txn, const storage::main_tables& tables) {
  auto row = read_row(txn, tables, id_);
  if (!row) return row.error();
  if (*row) row_ = **row;
  exposed_at_open_ = row_.exposed;
  auto first = first_block(txn, tables, id_, 0);
  if (!first) return first.error();
  next_ = *first ? **first * block_entries : row_.tail;
  return {};
}

queue_row queue_state::row() const {
  const std::lock_guard guard{mutex_};
  return row_;
}

void queue_state::committed(const queue_row& row) {
  const std::lock_guard guard{mutex_};
  row_ = row;
}

result<std::vector<taken_entry>> queue_state::take(const storage::main_environment& main, std::size_t most) {
  std::vector<taken_entry> taken;
  const std::lock_guard guard{mutex_};
  while (taken.size() < most && !returned_.empty()) {
    const auto first = returned_.begin();
    taken.push_back(first->second);
    returned_.erase(first);
  }
  std::optional<storage::read_transaction> txn;
  while (taken.size() < most && next_ < row_.tail) {
    const std::uint64_t number = next_ / block_entries;
    const std::size_t place = next_ % block_entries;
    if (!block_ || block_->number != number || place >= block_->entries.size()) {
      if (!txn) {
        auto begun = storage::read_transaction::begin(main.env());
        if (!begun) return begun.error();
        txn.emplace(std::move(*begun));
      }
      auto found = read_block(*txn, main.tables(), id_, number);
      if (!found) return found.error();
      block_ = std::move(*found);
      if (!block_) {
        // All of it is settled: on to the next block that is left.
        auto following = first_block(*txn, main.tables(), id_, number);
        if (!following) return following.error();
        next_ = *following ? **following * block_entries : row_.tail;
        continue;
      }
      if (place >= block_->entries.size()) break;  // committed after this snapshot was taken
    }
    if (!block_->settled.test(place)) {
      taken.push_back(
          {next_, block_->entries[place], next_ < exposed_at_open_ || block_->delivered.test(place)});
    }
    ++next_;
  }
  unacked.fetch_add(taken.size(), std::memory_order_relaxed);
  return taken;
}

void queue_state::put_back(const taken_entry& entry) {
  const std::lock_guard guard{mutex_};
  returned_.emplace(entry.position, entry);
  unacked.fetch_sub(1, std::memory_order_relaxed);
}

std::vector<std::uint64_t> queue_state::redelivered_positions() const {
  const std::lock_guard guard{mutex_};
  std::vector<std::uint64_t> positions;
  for (const auto& [position, entry] : returned_) {
    if (entry.redelivered) positions.push_back(position);
  }
  return positions;
}

}  // namespace levada::queue
