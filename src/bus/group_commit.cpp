#include "bus/group_commit.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace levada {

void group_commit::wait_for_others(std::unique_lock<std::mutex>& lock) {
  if (queue_.front()->alone() || queue_.size() >= expected_) return;
  const auto wait =
      std::min<std::chrono::steady_clock::duration>(last_commit_ / commit_to_wait_ratio, wait_max);
  if (wait >= wait_min) {
    all_there_.wait_for(lock, wait, [&] { return queue_.size() >= expected_; });
  } else if (last_commit_ >= yield_worth) {
    // Sleeping would take longer: whom the last commit has released gets the processor instead.
    const auto until = std::chrono::steady_clock::now() + last_commit_ / commit_to_yield_ratio;
    do {
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    } while (queue_.size() < expected_ && std::chrono::steady_clock::now() < until);
  }
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

std::shared_ptr<intent::waiting_place> group_commit::first_place() const {
  const auto first = std::find_if(queue_.begin(), queue_.end(),
                                  [](const intent* waiting) { return waiting->place_ != nullptr; });
  return first == queue_.end() ? nullptr : (*first)->place_;
}

void group_commit::lead_on(intent::waiting_place& next) {
  next.now = intent::waiting_place::state::leads;
  next.now.notify_one();
}

bool group_commit::lead_group(std::unique_lock<std::mutex>& lock, const intent* leader) {
  using state = intent::waiting_place::state;
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
  const auto next = first_place();
  const bool goes_on =
      next ? leader != nullptr && next == leader->place_ : leader == nullptr && !queue_.empty();
  led_ = next || goes_on;
  const bool wanted = !led_ && !queue_.empty();
  room_.notify_all();
  lock.unlock();

  if (next && !goes_on) lead_on(*next);
  if (wanted) leader_wanted_();
  for (intent* const member : group) {
    if (member == leader) {
      member->place_->now = state::done;
    } else if (member->place_) {
      const auto place = std::move(member->place_);
      place->now = state::done;  // from here on the member may be gone
      place->now.notify_one();
    } else {
      const std::unique_ptr<intent> owned{member};
      owned->finished(std::move(owned->outcome_));
    }
  }
  lock.lock();
  group.clear();
  if (group.capacity() > spare_.capacity()) spare_ = std::move(group);
  return goes_on;
}

void group_commit::push(intent& i) {
  spare_.reserve(queue_.size() + 1);
  queue_.push_back(&i);
  pending_bytes_ += i.cost_;
  if (queue_.size() == expected_) all_there_.notify_one();
}

result<void> group_commit::run(intent& i) {
  using state = intent::waiting_place::state;
  thread_local const auto place = std::make_shared<intent::waiting_place>();
  i.place_ = place;

  std::unique_lock lock{mutex_};
  if (i.cost_ > 0) room_.wait(lock, [&] { return fits(i.cost_); });
  push(i);
  place->now = state::waiting;
  for (bool leads = !std::exchange(led_, true); place->now != state::done;) {
    if (leads) {
      leads = lead_group(lock, &i);
      continue;
    }
    lock.unlock();
    place->now.wait(state::waiting);
    if (place->now == state::done) break;
    place->now = state::waiting;
    leads = true;
    lock.lock();
  }
  return std::move(i.outcome_);
}

void group_commit::submit(std::unique_ptr<intent> i, led_by who) {
  bool wanted = false;
  {
    const std::lock_guard guard{mutex_};
    push(*i);
    static_cast<void>(i.release());  // NOLINT: the queue owns it
    wanted = !led_ && who == led_by::any;
  }
  if (wanted) leader_wanted_();
}

bool group_commit::has_room(std::size_t cost) const {
  const std::lock_guard guard{mutex_};
  return cost == 0 || fits(cost);
}

void group_commit::lead_all(std::unique_lock<std::mutex>& lock) {
  while (!led_ && !queue_.empty()) {
    led_ = true;
    while (lead_group(lock, nullptr)) {
    }
  }
}

void group_commit::lead() {
  std::unique_lock lock{mutex_};
  lead_all(lock);
}

void group_commit::lead_some() {
  {
    std::unique_lock lock{mutex_};
    if (led_ || queue_.empty()) return;
    led_ = true;
    if (!lead_group(lock, nullptr)) return;
    // Who has come meanwhile and waits has seen that somebody leads.
    if (const auto next = first_place()) {
      lock.unlock();
      lead_on(*next);
      return;
    }
    led_ = false;
  }
  leader_wanted_();
}

void group_commit::make_room(std::size_t cost) {
  std::unique_lock lock{mutex_};
  while (!fits(cost)) {
    lead_all(lock);
    room_.wait(lock, [&] { return fits(cost) || (!led_ && !queue_.empty()); });
  }
}

std::size_t group_commit::pending_bytes() const {
  const std::lock_guard guard{mutex_};
  return pending_bytes_;
}

bool group_commit::wants_leader() const {
  const std::lock_guard guard{mutex_};
  return !led_ && !queue_.empty();
}

std::vector<std::unique_ptr<intent>> group_commit::take_back() {
  const std::lock_guard guard{mutex_};
  std::vector<std::unique_ptr<intent>> taken;
  if (led_) return taken;
  taken.reserve(queue_.size());
  for (intent* const i : queue_) taken.emplace_back(i);
  queue_.clear();
  pending_bytes_ = 0;
  return taken;
}

group_commit::~group_commit() {
  for (const auto& given_up : take_back()) static_cast<void>(given_up);
}

}  // namespace levada
