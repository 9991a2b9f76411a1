#include "queue/queue_state.hpp"

#include <algorithm>
#include <utility>

namespace levada::queue {

namespace {

/// When an entry is ready that was returned before the store was opened.
std::int64_t end_of_wait(const reference& where) {
  constexpr std::int64_t microseconds = 1'000'000;
  return where.not_before * microseconds;
}

}  // namespace

result<void> queue_state::load(const storage::transaction& txn, const storage::main_tables& tables,
                               std::vector<std::uint64_t> bars) {
  auto row = read_row(txn, tables, id_);
  if (!row) return row.error();
  const std::size_t lanes = next_.size();
  if (*row) row_ = std::move(**row);
  row_.further.resize(lanes - 1);
  row_.bars = std::move(bars);
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    exposed_at_open_[lane] = row_.lane(lane).exposed;
    auto first = first_block(txn, tables, id_, lane_begin(lane) / block_entries);
    if (!first) return first.error();
    next_[lane] = *first ? std::min(**first * block_entries, end_of(lane)) : end_of(lane);
  }
  return {};
}

result<void> queue_state::load_waiting(const storage::transaction& txn, const storage::main_tables& tables,
                                       std::int64_t now) {
  std::vector<taken_entry> found;
  auto read = for_each_unsettled(txn, tables, id_, [&](std::uint64_t position, const reference& where) {
    if (end_of_wait(where) > now) found.push_back({position, where, true, false});
  });
  // Where that is not known, none waits.
  if (!read) return read;
  waits_known_until_ = now;
  for (const taken_entry& entry : found) {
    waiting_.emplace(end_of_wait(entry.where), entry);
    ++out_.messages;
    out_.bytes += entry.where.bytes;
  }
  return {};
}

queue_row queue_state::row() const {
  const std::lock_guard guard{mutex_};
  return row_;
}

void queue_state::committed(const queue_row& row, const amount& settled, std::uint64_t condemned) {
  const std::lock_guard guard{mutex_};
  row_ = row;
  out_.messages -= std::min(out_.messages, settled.messages);
  out_.bytes -= std::min(out_.bytes, settled.bytes);
  condemned_count_ -= std::min(condemned_count_, condemned);
}

amount queue_state::ready() const {
  const std::lock_guard guard{mutex_};
  const std::uint64_t left = row_.left();
  return {left - std::min(left, out_.messages), row_.bytes - std::min(row_.bytes, out_.bytes)};
}

std::uint64_t queue_state::unacked() const {
  const std::lock_guard guard{mutex_};
  return out_.messages - std::min(out_.messages, condemned_count_);
}

std::uint64_t queue_state::waiting() const {
  const std::lock_guard guard{mutex_};
  return waiting_.size();
}

void queue_state::release(std::int64_t now) {
  const auto end = waiting_.upper_bound(now);
  for (auto at = waiting_.begin(); at != end; ++at) {
    const taken_entry& entry = at->second;
    returned_.emplace(entry.position, entry);
    out_.messages -= std::min<std::uint64_t>(out_.messages, 1);
    out_.bytes -= std::min<std::uint64_t>(out_.bytes, entry.where.bytes);
  }
  waiting_.erase(waiting_.begin(), end);
}

result<std::optional<taken_entry>> queue_state::head(const storage::main_environment& main) {
  const std::size_t returned = returned_.empty() ? next_.size() : lane_of(returned_.begin()->first);
  for (std::size_t lane = 0; lane < returned; ++lane) {
    auto found = head_of(lane, main);
    if (!found || *found) return found;
  }
  // Within a lane, what was returned stands before the rest.
  if (!returned_.empty()) return std::optional{returned_.begin()->second};
  return std::optional<taken_entry>{};
}

result<std::optional<taken_entry>> queue_state::head_of(std::size_t lane,
                                                        const storage::main_environment& main) {
  const std::uint64_t end = end_of(lane);
  std::uint64_t& next = next_[lane];
  std::optional<storage::read_transaction> txn;
  for (; next < end; ++next) {
    const std::uint64_t number = next / block_entries;
    const std::size_t place = next % block_entries;
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
        auto following = first_block(*txn, main.tables(), id_, number + 1);
        if (!following) return following.error();
        next = (*following ? std::min(**following * block_entries, end) : end) - 1;
        continue;
      }
      if (place >= block_->entries.size()) break;  // committed after this snapshot was taken
    }
    if (block_->settled.test(place)) continue;
    const reference& where = block_->entries[place];
    if (end_of_wait(where) > waits_known_until_) continue;
    const bool seen = where.not_before > 0 || next - lane_begin(lane) < exposed_at_open_[lane] ||
                      block_->delivered.test(place);
    const taken_entry found{next, where, seen};
    return std::optional{found};
  }
  return std::optional<taken_entry>{};
}

void queue_state::take_head(const taken_entry& entry) {
  if (!returned_.empty() && returned_.begin()->first == entry.position) {
    returned_.erase(returned_.begin());
  } else {
    ++next_[lane_of(entry.position)];
  }
  ++out_.messages;
  out_.bytes += entry.where.bytes;
}

result<std::vector<taken_entry>> queue_state::take(const storage::main_environment& main, std::size_t most,
                                                   std::int64_t now, flawed which) {
  std::vector<taken_entry> taken;
  const std::lock_guard guard{mutex_};
  release(now);
  while (taken.size() < most) {
    auto first = head(main);
    if (!first) {
      // What has been taken is handed out; the next call fails.
      if (taken.empty()) return first.error();
      break;
    }
    if (!*first) break;
    take_head(**first);
    const auto why = which == flawed::apart ? flaw_of(**first, now) : std::nullopt;
    if (why) {
      condemn(**first, *why);
    } else {
      taken.push_back(**first);
    }
  }
  return taken;
}

std::optional<dead_letter_reason> queue_state::flaw_of(const taken_entry& entry, std::int64_t now) const {
  if (entry.where.expires != 0 && entry.where.expires <= now) return dead_letter_reason::expired;
  if (exhausted(entry)) return dead_letter_reason::delivery_limit;
  return std::nullopt;
}

void queue_state::condemn(const taken_entry& entry, dead_letter_reason why) {
  condemned_.push_back({entry, why});
  ++condemned_count_;
}

result<std::optional<std::int64_t>> queue_state::condemn_at_head(const storage::main_environment& main,
                                                                 std::int64_t now) {
  const std::lock_guard guard{mutex_};
  release(now);
  for (;;) {
    auto first = head(main);
    if (!first) return first.error();
    std::optional<std::int64_t> next;
    if (!waiting_.empty()) next = waiting_.begin()->first;
    if (!*first) return next;
    const std::int64_t expires = (*first)->where.expires;
    const auto why = flaw_of(**first, now);
    if (!why) return expires == 0 ? next : std::optional{std::min(next.value_or(expires), expires)};
    take_head(**first);
    condemn(**first, *why);
  }
}

std::vector<condemned_entry> queue_state::take_condemned(std::size_t most) {
  const std::lock_guard guard{mutex_};
  const auto n = static_cast<std::ptrdiff_t>(std::min(most, condemned_.size()));
  std::vector<condemned_entry> taken{condemned_.begin(), condemned_.begin() + n};
  condemned_.erase(condemned_.begin(), condemned_.begin() + n);
  return taken;
}

bool queue_state::has_condemned() const {
  const std::lock_guard guard{mutex_};
  return !condemned_.empty();
}

void queue_state::condemn_again(const std::vector<condemned_entry>& entries) {
  const std::lock_guard guard{mutex_};
  condemned_.insert(condemned_.begin(), entries.begin(), entries.end());
}

result<std::vector<reference>> queue_state::look_at(const storage::main_environment& main, std::size_t most,
                                                    std::int64_t now) const {
  std::map<std::uint64_t, reference> found;  // by position, and of the store no more than are wanted
  const std::lock_guard guard{mutex_};
  auto txn = storage::read_transaction::begin(main.env());
  if (!txn) return txn.error();
  const auto is_ready = [&](std::uint64_t position) {
    const std::size_t of = lane_of(position);
    return of < next_.size() && position >= next_[of] && position < end_of(of);
  };
  for (std::uint64_t from = next_.front() / block_entries; found.size() < most;) {
    // What must not be handed out yet is passed over, however much it is.
    const std::size_t lane = lane_of(from * block_entries);
    if (lane < next_.size() && from * block_entries >= end_of(lane)) {
      if (lane + 1 == next_.size()) break;
      from = lane_begin(lane + 1) / block_entries;
    }
    auto following = for_some_unsettled(
        *txn, main.tables(), id_, from, 1, [&](std::uint64_t position, const reference& where) {
          if (found.size() == most || !is_ready(position) || end_of_wait(where) > waits_known_until_) return;
          if (!flaw_of({position, where, false, false}, now)) found.emplace(position, where);
        });
    if (!following) return following.error();
    if (!*following) break;
    from = **following;
  }
  std::size_t returned = 0;
  for (auto at = returned_.begin(); at != returned_.end() && returned < most; ++at) {
    if (flaw_of(at->second, now)) continue;
    found.emplace(at->first, at->second.where);
    ++returned;
  }
  std::vector<reference> first;
  for (const auto& [position, where] : found) {
    if (first.size() < most) first.push_back(where);
  }
  return first;
}

void queue_state::put_back(const taken_entry& entry) {
  const std::lock_guard guard{mutex_};
  if (exhausted(entry)) return condemn(entry, dead_letter_reason::delivery_limit);
  returned_.emplace(entry.position, entry);
  out_.messages -= std::min<std::uint64_t>(out_.messages, 1);
  out_.bytes -= std::min<std::uint64_t>(out_.bytes, entry.where.bytes);
}

void queue_state::put_back_at(const taken_entry& entry, std::int64_t due) {
  const std::lock_guard guard{mutex_};
  waiting_.emplace(due, entry);
}

std::vector<std::uint64_t> queue_state::redelivered_positions() const {
  const std::lock_guard guard{mutex_};
  std::vector<std::uint64_t> positions;
  for (const auto& [position, entry] : returned_) {
    if (entry.redelivered) positions.push_back(position);
  }
  return positions;
}

bool queue_state::take_exposed_back(queue_row& row) const {
  bool changed = false;
  for (std::size_t n = 0; n < exposed_at_open_.size(); ++n) {
    lane_row lane = row.lane(n);
    changed |= std::exchange(lane.exposed, exposed_at_open_[n]) != lane.exposed;
    row.set_lane(n, lane);
  }
  if (changed) row.exposes = false;
  return changed;
}

}  // namespace levada::queue
