#include "bus/handling_queue.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>

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
    (where->held ? held_back_ : ready_).push_back(std::move(e));
  }
}

std::optional<handling_queue::entry> handling_queue::next() {
  if (ready_.empty()) return std::nullopt;
  entry e = std::move(ready_.front());
  ready_.pop_front();
  ++e.where_->handled;
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
  (p.held ? held_back_ : ready_).push_back(std::move(line->second.front()));
  line->second.pop_front();
  return moves;
}

void handling_queue::set_aside(entry& e) {
  --e.where_->handled;
  ++e.attempt_;
}

void handling_queue::put_back(entry e) {
  if (e.where_->dropped) return;
  auto& to = e.where_->held ? held_back_ : ready_;
  to.push_front(std::move(e));
}

void handling_queue::hold(std::span<const topic_partition> partitions) {
  for (const auto& where : partitions) {
    if (const auto found = partitions_.find(where); found != partitions_.end()) found->second->held = true;
  }
  const auto held =
      std::stable_partition(ready_.begin(), ready_.end(), [](const entry& e) { return !e.where_->held; });
  std::move(held, ready_.end(), std::back_inserter(held_back_));
  ready_.erase(held, ready_.end());
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
  std::move(held_back_.begin(), held_back_.end(), std::back_inserter(ready_));
  held_back_.clear();
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
  const auto of_it = [&p](const entry& e) { return e.where_.get() == &p; };
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
