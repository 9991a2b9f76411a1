#include "bus/handling_queue.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace levada {

bool handling_queue::is_ordered(const record_view& r) const noexcept {
  return order_ == handling_order::partition || (order_ == handling_order::key && r.has_key());
}

void handling_queue::add(const record_batch& batch) {
  const auto bytes = std::make_shared<const record_batch>(batch);
  std::shared_ptr<partition> where;
  for (const record_view& record : *bytes) {
    if (!where || where->where.partition != record.partition() || where->where.topic != record.topic()) {
      topic_partition key{std::string{record.topic()}, record.partition()};
      auto& found = partitions_[key];
      if (!found) {
        found = std::make_shared<partition>();
        found->where = std::move(key);
        found->committed = record.offset().value();
      }
      where = found;
    }
    entry e;
    e.record_ = record;
    e.batch_ = bytes;
    e.where_ = where;
    e.turn_ = ++last_turn_;
    e.number_ = where->first_number + where->records.size();
    where->records.emplace_back(record.offset().value(), false);
    where->end = record.offset().value() + 1;
    ++size_;
    if (is_ordered(record)) {
      // Two keys of the same hash share a line, which does no harm.
      e.line_ = order_ == handling_order::key ? std::hash<std::string_view>{}(record.key()) : 0;
      const auto [line, is_new] = lines_.try_emplace(line_key{where.get(), e.line_});
      if (!is_new) {
        line->second.push_back(std::move(e));
        continue;
      }
    }
    place(std::move(e));
  }
}

void handling_queue::place(entry e) {
  const partition& p = *e.where_;
  const std::uint64_t turn = e.turn_;
  (p.held && e.number_ >= p.limit ? held_back_ : ready_).emplace(turn, std::move(e));
}

std::optional<handling_queue::entry> handling_queue::next() {
  if (ready_.empty()) return std::nullopt;
  entry e = std::move(ready_.extract(ready_.begin()).mapped());
  partition& p = *e.where_;
  ++p.handled;
  p.begun = std::max(p.begun, e.number_ + 1);
  return e;
}

bool handling_queue::done(const entry& e) {
  partition& p = *e.where_;
  --p.handled;
  if (p.dropped) return false;
  --size_;
  p.records[e.number_ - p.first_number].second = true;
  const bool moves = p.records.front().second;
  for (; !p.records.empty() && p.records.front().second; p.records.pop_front()) ++p.first_number;
  if (!is_ordered(e.record_)) return moves;
  const auto line = lines_.find(line_key{&p, e.line_});
  if (line->second.empty()) {
    lines_.erase(line);
    return moves;
  }
  entry following = std::move(line->second.front());
  line->second.pop_front();
  place(std::move(following));
  return moves;
}

void handling_queue::set_aside(entry& e) {
  --e.where_->handled;
  ++e.attempt_;
}

void handling_queue::put_back(entry e) {
  if (!e.where_->dropped) place(std::move(e));
}

void handling_queue::hold(std::span<const topic_partition> partitions) {
  for (const auto& where : partitions) {
    if (const auto found = partitions_.find(where); found != partitions_.end()) hold(*found->second);
  }
  hold_back();
}

void handling_queue::hold_all() {
  for (const auto& [where, p] : partitions_) hold(*p);
  hold_back();
}

void handling_queue::hold(partition& p) {
  if (std::exchange(p.held, true)) return;
  p.limit = p.begun;
}

void handling_queue::hold_back() {
  for (auto at = ready_.begin(); at != ready_.end();) {
    const auto next = std::next(at);
    const partition& p = *at->second.where_;
    if (p.held && at->second.number_ >= p.limit) held_back_.insert(ready_.extract(at));
    at = next;
  }
}

bool handling_queue::has_work(std::span<const topic_partition> partitions) const {
  return handles_any(partitions) ||
         std::any_of(ready_.begin(), ready_.end(), [partitions](const auto& waiting) {
           const topic_partition& where = waiting.second.where_->where;
           return std::find(partitions.begin(), partitions.end(), where) != partitions.end();
         });
}

bool handling_queue::handles_any(std::span<const topic_partition> partitions) const {
  return std::any_of(partitions.begin(), partitions.end(), [this](const topic_partition& where) {
    const auto found = partitions_.find(where);
    return found != partitions_.end() && found->second->handled > 0;
  });
}

void handling_queue::release(std::span<const topic_partition> owned) {
  std::vector<topic_partition> gone;
  for (const auto& [where, p] : partitions_) {
    if (!p->held) continue;
    p->held = false;
    if (!std::binary_search(owned.begin(), owned.end(), where)) gone.push_back(where);
  }
  drop(gone);
  ready_.merge(held_back_);
}

void handling_queue::drop(std::span<const topic_partition> partitions) {
  for (const auto& where : partitions) {
    const auto found = partitions_.find(where);
    if (found == partitions_.end()) continue;
    drop(*found->second);
    partitions_.erase(found);
  }
}

void handling_queue::drop(partition& p) {
  p.dropped = true;
  size_ -= static_cast<std::size_t>(
      std::count_if(p.records.begin(), p.records.end(), [](const auto& r) { return !r.second; }));
  const auto of_it = [&p](const auto& waiting) { return waiting.second.where_.get() == &p; };
  std::erase_if(ready_, of_it);
  std::erase_if(held_back_, of_it);
  std::erase_if(lines_, [&p](const auto& line) { return line.first.where == &p; });
}

std::optional<offset> handling_queue::settled(const topic_partition& where) const {
  const auto found = partitions_.find(where);
  if (found == partitions_.end()) return std::nullopt;
  const partition& p = *found->second;
  if (next_of(p) == p.committed) return std::nullopt;
  return offset{next_of(p)};
}

std::vector<std::pair<topic_partition, offset>> handling_queue::settled() const {
  std::vector<std::pair<topic_partition, offset>> all;
  for (const auto& [where, p] : partitions_) {
    if (next_of(*p) != p->committed) all.emplace_back(where, offset{next_of(*p)});
  }
  return all;
}

void handling_queue::note_committed(const topic_partition& where, offset next) {
  const auto found = partitions_.find(where);
  if (found != partitions_.end()) found->second->committed = next.value();
}

}  // namespace levada
