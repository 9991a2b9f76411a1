#include "bus/group_commit.hpp"

#include <algorithm>

namespace levada {

void group_commit::wait_for_others(std::unique_lock<std::mutex>& lock) {
  const auto wait =
      std::min<std::chrono::steady_clock::duration>(last_commit_ / commit_to_wait_ratio, wait_max);
  if (wait < wait_min || queue_.front()->alone()) return;
  all_there_.wait_for(lock, wait, [&] { return queue_.size() >= expected_; });
}

std::vector<intent*> group_commit::collect() {
  std::vector<intent*> group = std::move(spare_);  // reserved: from here on nothing may fail
  group.push_back(queue_.front());
  if (group.front()->alone()) return group;
  std::size_t bytes = group.front()->cost_;
  for (auto at = queue_.begin() + 1; at != queue_.end(); ++at) {
    bytes += (*at)->cost_;
    if ((*at)->alone() || bytes > group_bytes_max) break;
    group.push_back(*at);
  }
  return group;
}

void group_commit::lead(std::unique_lock<std::mutex>& lock, const intent& leader) {
  wait_for_others(lock);
  std::vector<intent*> group = collect();
  lock.unlock();
  const auto begin = std::chrono::steady_clock::now();
  engine_.commit(group);
  const auto end = std::chrono::steady_clock::now();
  lock.lock();
  last_commit_ = end - begin;
  expected_ = queue_.size();
  for (const intent* const member : group) {
    queue_.pop_front();
    pending_bytes_ -= member->cost_;
  }
  const auto next = queue_.empty() ? nullptr : queue_.front()->place_;
  room_.notify_all();
  lock.unlock();

  using state = intent::waiting_place::state;
  if (next) {
    next->now = state::leads;
    next->now.notify_one();
  }
  for (intent* const member : group) {
    if (member == &leader) continue;
    const auto place = std::move(member->place_);
    place->now = state::done;  // from here on the member may be gone
    place->now.notify_one();
  }
  lock.lock();
  group.clear();
  if (group.capacity() > spare_.capacity()) spare_ = std::move(group);
}

result<void> group_commit::run(intent& i) {
  using state = intent::waiting_place::state;
  thread_local const auto place = std::make_shared<intent::waiting_place>();
  i.place_ = place;

  std::unique_lock lock{mutex_};
  if (i.cost_ > 0) {
    // One that is larger than the bound goes when nothing else waits.
    room_.wait(lock, [&] { return pending_bytes_ == 0 || pending_bytes_ + i.cost_ <= pending_bytes_max_; });
  }
  spare_.reserve(queue_.size() + 1);
  queue_.push_back(&i);
  pending_bytes_ += i.cost_;
  if (queue_.size() == expected_) all_there_.notify_one();
  if (queue_.front() != &i) {
    place->now = state::waiting;
    lock.unlock();
    place->now.wait(state::waiting);
    if (place->now == state::done) return std::move(i.outcome_);
    lock.lock();
  }
  lead(lock, i);
  return std::move(i.outcome_);
}

}  // namespace levada
