#include "bus/shared_indexes.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "bus/commit_scope.hpp"
#include "bus/core.hpp"
#include "queue/shared_index.hpp"

namespace levada {
namespace {

/// So many queues are worth an index: it takes two rows, as each of them does.
constexpr std::size_t queues_min = 3;
/// Different contents that are told apart in one commit.
constexpr std::size_t contents_max = 32;
/// Blocks that a queue is done with, on average, before it is looked which ones nobody needs.
constexpr std::uint64_t blocks_between_sweeps = 16;
/// Rows that are erased in one commit.
constexpr std::size_t rows_erased_max = 1'024;
/// A queue that has left stays alone for a while: for twice as many commits each time, up to 2 to this.
constexpr std::uint32_t partings_max = 10;
constexpr std::uint32_t long_pause = std::uint32_t{1} << partings_max;
/// After so many commits at an index that is forgotten.
constexpr std::uint32_t long_stay = 1'000;

bool enters(const queue_slot& queue) {
  return queue.staged_gone < queue.staged_entries.size();
}

/// Whether what comes to a queue may stand in the same form with others.
bool can_share(const queue_slot& queue) {
  return queue.staged_gone == 0 && queue.staged_lanes.empty() && queue.staged_row->further.empty() &&
         queue.staged_row->bars.empty() && queue.backfills.empty() && !queue.of_share_group &&
         !queue.counts_deliveries();
}

bool same_comes(const queue_slot& a, const queue_slot& b) {
  const auto& x = a.staged_entries;
  const auto& y = b.staged_entries;
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(queue::reference)) == 0;
}

/// Adds a queue to those to which the same comes; returns its number among these, from 1 on, or 0 where there
/// are too many already.
std::size_t add_to(std::vector<shared_index::same>& all, queue_slot& queue) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!same_comes(*all[i].queues.front(), queue)) continue;
    all[i].queues.push_back(&queue);
    return i + 1;
  }
  if (all.size() == contents_max) return 0;
  all.push_back({{&queue}});
  return all.size();
}

void forget_arrivals(shared_index& index) {
  index.arrivals.clear();
  index.staged_row.reset();
}

void forget_sweep(shared_index& index) {
  index.staged_erased_to.reset();
  index.swept = false;
}

std::uint64_t bytes_of(std::span<const queue::reference> entries) {
  std::uint64_t sum = 0;
  for (const auto& e : entries) sum += e.bytes;
  return sum;
}

}  // namespace

result<void> shared_indexes::load(const storage::transaction& txn, const storage::main_tables& tables) {
  auto stored = queue::stored_queues(txn, tables);
  if (!stored) return stored.error();
  const auto index_of = [this](std::uint32_t id) -> shared_index& {
    auto& index = all_[id];
    if (!index) {
      index = std::make_unique<shared_index>();
      index->id = id;
      want_sweep(*index);
    }
    next_id_ = std::max(next_id_, id + 1);
    return *index;
  };
  for (const std::uint32_t id : *stored) {
    if (queue::is_shared_index(id)) {
      index_of(id);
      continue;
    }
    auto spans = queue::read_shares(txn, tables, id);
    // Of a queue that is no more, the rows are about to be erased.
    if (!spans && spans.error() == errc::damaged && owner_.queue_of_binding(id) == nullptr) continue;
    if (!spans) return spans.error();
    for (const auto& span : *spans) {
      shared_index& index = index_of(span.index);
      index.readers.insert(id);
      queue_slot* const queue = owner_.queue_of_binding(id);
      if (span.until != queue::shared_span::open || queue == nullptr) continue;
      index.members.push_back(queue);
      queue->sharing.at = &index;
    }
  }
  for (auto& [id, index] : all_) {
    auto row = queue::read_row(txn, tables, id);
    // Where none is at it, nobody needs that.
    if (!row && (row.error() != errc::damaged || !index->members.empty())) return row.error();
    if (row) index->row = row->value_or(queue::queue_row{});
    auto first = queue::first_block(txn, tables, id, 0);
    if (!first) return first.error();
    index->erased_to = first->value_or(index->row.tail / queue::block_entries);
  }
  return {};
}

result<void> shared_indexes::enter(commit_scope& scope, std::vector<queue_slot*>& queues) {
  for (queue_slot* const queue : queues) {
    if (!enters(*queue)) continue;
    if (!can_share(*queue)) {
      if (auto left = leave(scope, *queue); !left) return left;
      continue;
    }
    if (shared_index* const index = queue->sharing.at; index != nullptr && queue->staged_row->index != 0) {
      if (index->arrivals.empty()) touched_.push_back(index);
      queue->sharing.arrival = add_to(index->arrivals, *queue);
    } else if (queue->sharing.pause > 0) {
      --queue->sharing.pause;
    } else {
      add_to(loose_, *queue);
    }
  }
  for (shared_index* const index : touched_) {
    if (auto parted = part(scope, *index); !parted) return parted;
  }
  for (const auto& group : loose_) {
    if (group.queues.front()->sharing.entered || group.queues.size() < queues_min) continue;
    if (auto formed = form(scope, group.queues); !formed) return formed;
  }
  return sweep(scope);
}

/// Decides which members of an index stay at it, and appends what comes to these.
result<void> shared_indexes::part(commit_scope& scope, shared_index& index) {
  const auto most =
      std::max_element(index.arrivals.begin(), index.arrivals.end(),
                       [](const auto& a, const auto& b) { return a.queues.size() < b.queues.size(); });
  const auto stay = static_cast<std::size_t>(most - index.arrivals.begin()) + 1;
  const bool goes_on = most->queues.size() > 1 && most->queues.size() * 2 >= index.members.size();
  if (!goes_on || most->queues.size() < index.members.size()) {
    for (queue_slot* const member : index.members) {
      // Who gets nothing may stay, if nothing is appended.
      const bool leaves = goes_on ? member->sharing.arrival != stay : member->staged_row && enters(*member);
      if (!leaves) continue;
      if (auto left = leave(scope, *member); !left) return left;
    }
  }
  if (!goes_on) return {};
  const std::uint64_t tail = index.row.tail;
  if (auto appended = append(scope, index, most->queues); !appended) return appended;
  for (queue_slot* const queue : most->queues) {
    ++queue->sharing.stayed;
    queue->sharing.entered = true;
  }
  // Others to which the same comes may begin with the index's next block.
  const auto& entries = most->queues.front()->staged_entries;
  const std::uint64_t next_block = queue::block_begin_from(tail);
  if (next_block >= tail + entries.size()) return {};
  for (const auto& group : loose_) {
    if (group.queues.front()->sharing.entered) continue;  // at another index to which the same comes
    if (!same_comes(*group.queues.front(), *most->queues.front())) continue;
    for (queue_slot* const queue : group.queues) {
      auto joined = join(scope, index, *queue, static_cast<std::size_t>(next_block - tail), next_block);
      if (!joined) return joined;
    }
  }
  return {};
}

/// Appends what comes to queues, all of which get the same, and adds it to those that are at the index.
result<void> shared_indexes::append(commit_scope& scope, shared_index& index,
                                    const std::vector<queue_slot*>& queues) {
  const std::vector<queue::reference>& entries = queues.front()->staged_entries;
  index.staged_row = index.row;
  auto appended =
      scope.written(queue::append(scope.txn(), scope.tables(), index.id, *index.staged_row, entries));
  if (!appended) return appended;
  auto stored = scope.written(queue::write_row(scope.txn(), scope.tables(), index.id, *index.staged_row));
  if (!stored) return stored;
  const std::uint64_t bytes = index.staged_row->bytes - index.row.bytes;
  for (queue_slot* const queue : queues) {
    if (queue->staged_row->index != index.id) continue;
    queue->staged_row->tail += entries.size();
    queue->staged_row->bytes += bytes;
  }
  return {};
}

/// Puts a queue at an index from position `at` of that on, the first of a block, up to which it gets the
/// first `alone` entries itself. The rest has been appended.
result<void> shared_indexes::join(commit_scope& scope, shared_index& index, queue_slot& queue,
                                  std::size_t alone, std::uint64_t at) {
  const std::span<const queue::reference> entries{queue.staged_entries};
  queue::queue_row& row = *queue.staged_row;
  const auto own = [&](std::span<const queue::reference> some) {
    return scope.written(queue::append(scope.txn(), scope.tables(), queue.state.id(), row, some));
  };
  if (auto appended = own(entries.first(alone)); !appended) return appended;
  queue.sharing.entered = true;
  auto shares = scope.written(queue::start_sharing(scope.txn(), scope.tables(), queue.state.id(), row,
                                                   index.id, at / queue::block_entries));
  if (!shares) return shares.error();
  const auto rest = entries.subspan(alone);
  if (!*shares) {
    queue.sharing.pause = long_pause;
    return own(rest);
  }
  row.tail += rest.size();
  row.bytes += bytes_of(rest);
  queue.sharing.moved = true;
  queue.sharing.stayed = 0;
  changes_.push_back({&queue, &index});
  return {};
}

/// Begins an index for queues to which the same comes.
result<void> shared_indexes::form(commit_scope& scope, const std::vector<queue_slot*>& all) {
  std::vector<queue_slot*> queues;
  for (queue_slot* const queue : all) {
    auto spans = queue::read_shares(scope.txn(), scope.tables(), queue->state.id());
    if (!spans) return scope.written(result<void>{spans.error()});
    if (spans->full()) {
      queue->sharing.pause = long_pause;
    } else {
      queues.push_back(queue);
    }
  }
  if (queues.size() < queues_min) return {};
  shared_index& index = *begun_.emplace_back(std::make_unique<shared_index>());
  index.id = next_id_ + static_cast<std::uint32_t>(begun_.size() - 1);
  if (auto appended = append(scope, index, queues); !appended) return appended;
  for (queue_slot* const queue : queues) {
    if (auto joined = join(scope, index, *queue, 0, 0); !joined) return joined;
  }
  return {};
}

result<void> shared_indexes::leave(commit_scope& scope, queue_slot& queue) {
  if (queue.sharing.at == nullptr) return {};
  queue::queue_row& row = scope.row_of(queue);
  if (row.index == 0) return {};
  auto left = scope.written(queue::stop_sharing(scope.txn(), scope.tables(), queue.state.id(), row));
  if (!left) return left;
  auto& sharing = queue.sharing;
  sharing.partings = sharing.stayed > long_stay ? 1 : std::min(sharing.partings + 1, partings_max);
  sharing.pause = std::uint32_t{1} << sharing.partings;
  sharing.moved = true;
  changes_.push_back({&queue, nullptr});
  auto spans = queue::read_shares(scope.txn(), scope.tables(), queue.state.id());
  if (!spans) return scope.written(result<void>{spans.error()});
  if (!spans->needed_of(sharing.at->id)) ended_.push_back({sharing.at, queue.state.id()});
  return {};
}

void shared_indexes::want_sweep(shared_index& index) noexcept {
  index.due = true;
  any_due_ = true;
}

void shared_indexes::note_done(shared_index& index, std::uint64_t blocks) noexcept {
  index.done_with += blocks;
  const std::uint64_t users = std::max<std::uint64_t>(1, index.readers.size());
  if (index.done_with >= blocks_between_sweeps * users) want_sweep(index);
}

void shared_indexes::note_settled(std::uint32_t queue, const queue::settled_amount& settled) {
  for (const std::uint32_t id : settled.done_with) {
    const auto found = all_.find(id);
    if (found != all_.end()) note_done(*found->second, 1);
  }
  for (const std::uint32_t id : settled.left) {
    const auto found = all_.find(id);
    if (found != all_.end()) ended_.push_back({found->second.get(), queue});
  }
}

void shared_indexes::note_erased(std::uint32_t queue) {
  // Where queues come and go, it is not looked at all the others each time.
  for (auto& [id, index] : all_) {
    if (!index->readers.contains(queue)) continue;
    note_done(*index, blocks_between_sweeps);
    ended_.push_back({index.get(), queue});
  }
}

result<void> shared_indexes::sweep(commit_scope& scope) {
  if (!any_due_) return {};
  std::size_t rows = rows_erased_max;
  for (auto& [id, index] : all_) {
    if (rows == 0) break;
    if (!index->due) continue;
    if (auto swept = sweep(scope, *index, rows); !swept) return swept;
  }
  return {};
}

/// Erases what no queue needs any more, up to so many rows.
result<void> shared_indexes::sweep(commit_scope& scope, shared_index& index, std::size_t& rows) {
  swept_.push_back(&index);
  std::optional<std::uint64_t> needed;
  for (const std::uint32_t reader : index.readers) {
    auto spans = queue::read_shares(scope.txn(), scope.tables(), reader);
    if (!spans && spans.error() != errc::damaged) return scope.written(result<void>{spans.error()});
    // Until that has been repaired, it may need all of it.
    const auto from = spans ? spans->needed_of(index.id) : index.erased_to;
    if (!from) ended_.push_back({&index, reader});
    if (from) needed = std::min(needed.value_or(*from), *from);
  }
  if (!needed) {
    auto ended = scope.written(queue::erase_some(scope.txn(), scope.tables(), index.id, rows));
    if (!ended) return ended.error();
    index.staged_end = *ended;
    if (!*ended) rows = 0;
    return {};
  }
  std::uint64_t at = index.erased_to;
  for (; at < *needed && rows > 0; ++at, --rows) {
    auto erased = scope.written(queue::erase_block(scope.txn(), scope.tables(), index.id, at));
    if (!erased) return erased;
  }
  index.staged_erased_to = at;
  index.swept = at >= *needed;
  return {};
}

void shared_indexes::committed() {
  for (auto& index : begun_) {
    next_id_ = index->id + 1;
    index->row = *index->staged_row;
    index->staged_row.reset();
    all_.emplace(index->id, std::move(index));
  }
  begun_.clear();
  // Before those that come, as one may come again.
  for (const reading& r : ended_) r.index->readers.erase(r.queue);
  for (const change& c : changes_) {
    auto& at = c.queue->sharing.at;
    if (at != nullptr) std::erase(at->members, c.queue);
    at = c.to;
    if (at == nullptr) continue;
    at->members.push_back(c.queue);
    at->readers.insert(c.queue->state.id());
  }
  for (shared_index* const index : touched_) {
    if (index->staged_row) index->row = *index->staged_row;
    forget_arrivals(*index);
  }
  touched_.clear();  // the last member of one may have left it
  for (const reading& r : std::exchange(ended_, {})) {
    if (r.index->readers.empty()) want_sweep(*r.index);
  }
  if (swept_.empty()) return;
  for (shared_index* const index : std::exchange(swept_, {})) {
    if (index->staged_erased_to) index->erased_to = *index->staged_erased_to;
    if (index->swept) {
      index->due = false;
      index->done_with = 0;
    }
    forget_sweep(*index);
    if (index->staged_end) all_.erase(index->id);
  }
  any_due_ = std::any_of(all_.begin(), all_.end(), [](const auto& index) { return index.second->due; });
}

void shared_indexes::forget() noexcept {
  for (shared_index* const index : touched_) forget_arrivals(*index);
  touched_.clear();
  loose_.clear();
  changes_.clear();
  begun_.clear();
  for (shared_index* const index : swept_) {
    forget_sweep(*index);
    index->staged_end = false;
  }
  swept_.clear();
  ended_.clear();
}

void shared_indexes::remove(queue_slot& queue) {
  shared_index* const index = std::exchange(queue.sharing.at, nullptr);
  if (index == nullptr) return;
  std::erase(index->members, &queue);
}

}  // namespace levada
