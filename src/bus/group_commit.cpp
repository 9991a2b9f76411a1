#include "bus/group_commit.hpp"

namespace levada {

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

result<void> group_commit::run(intent& i) {
  std::unique_lock lock{mutex_};
  if (i.cost_ > 0) {
    // One that is larger than the bound goes when nothing else waits.
    room_.wait(lock, [&] { return pending_bytes_ == 0 || pending_bytes_ + i.cost_ <= pending_bytes_max_; });
  }
  spare_.reserve(queue_.size() + 1);
  queue_.push_back(&i);
  pending_bytes_ += i.cost_;
  i.wakeup_.wait(lock, [&] { return i.done_ || queue_.front() == &i; });
  if (i.done_) return std::move(i.outcome_);

  std::vector<intent*> group = collect();
  lock.unlock();
  engine_.commit(group);
  lock.lock();

  for (intent* const member : group) {
    queue_.pop_front();
    pending_bytes_ -= member->cost_;
    if (member == &i) continue;
    member->done_ = true;
    member->wakeup_.notify_one();  // under the lock: the member may be gone as soon as it is released
  }
  if (!queue_.empty()) queue_.front()->wakeup_.notify_one();
  group.clear();
  if (group.capacity() > spare_.capacity()) spare_ = std::move(group);
  room_.notify_all();
  return std::move(i.outcome_);
}

}  // namespace levada
