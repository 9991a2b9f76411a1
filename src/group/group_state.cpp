#include "group/group_state.hpp"

#include <algorithm>
#include <iterator>

namespace levada::group {
namespace {

std::vector<topic_partition> difference(const std::vector<topic_partition>& a,
                                        const std::vector<topic_partition>& b) {
  std::vector<topic_partition> only;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only));
  return only;
}

}  // namespace

void group_state::join(const std::string& member, std::vector<std::string> topics, time rebalance_timeout,
                       const std::map<std::string, std::uint32_t>& topic_sizes, time now) {
  for (const auto& [topic, partitions] : topic_sizes) topic_sizes_[topic] = partitions;
  member_state& m = members_[member];
  m.topics = std::move(topics);
  m.rebalance_timeout = rebalance_timeout;
  rebalance(now);
}

void group_state::leave(const std::string& member, time now) {
  const auto found = members_.find(member);
  if (found == members_.end()) return;
  for (const auto& where : found->second.owned) owners_.erase(where);
  members_.erase(found);
  rebalance(now);
}

void group_state::rebalance(time now) {
  ++generation_;
  std::vector<subscription> subscriptions;
  for (const auto& [id, m] : members_) subscriptions.push_back({id, m.topics});
  std::vector<topic_size> sizes;
  for (const auto& [topic, partitions] : topic_sizes_) sizes.push_back({topic, partitions});
  auto assigned = assign_range(subscriptions, sizes);
  std::size_t i = 0;
  for (auto& [id, m] : members_) {
    m.target = std::move(assigned[i++]);
    std::sort(m.target.begin(), m.target.end());
    const bool must_give_up = !difference(m.owned, m.target).empty();
    if (!must_give_up) {
      m.deadline = time::max();
    } else if (m.deadline == time::max()) {
      m.deadline = now + m.rebalance_timeout;
    }
  }
}

void group_state::fence_overdue(time now) {
  for (;;) {
    const auto overdue = std::find_if(members_.begin(), members_.end(),
                                      [now](const auto& entry) { return entry.second.deadline <= now; });
    if (overdue == members_.end()) return;
    leave(std::string{overdue->first}, now);
  }
}

void group_state::forget_topic(const std::string& topic, time now) {
  const auto of_topic = [&](const topic_partition& where) { return where.topic == topic; };
  bool known = false;
  for (auto& [id, member] : members_) {
    known |= std::erase(member.topics, topic) > 0;
    std::erase_if(member.owned, of_topic);
    std::erase_if(member.target, of_topic);
  }
  std::erase_if(owners_, [&](const auto& owner) { return of_topic(owner.first); });
  topic_sizes_.erase(topic);
  if (known) rebalance(now);
}

group_state::sync_result group_state::sync(const std::string& member, time now) {
  sync_result changes;
  if (const auto caller = members_.find(member); caller != members_.end() && caller->second.deadline > now) {
    // It came in time: it is not fenced for what it gives up below.
    caller->second.deadline = time::max();
  }
  fence_overdue(now);
  const auto found = members_.find(member);
  if (found == members_.end()) return changes;
  member_state& m = found->second;
  changes.member = true;
  changes.revoked = difference(m.owned, m.target);
  for (const auto& where : changes.revoked) owners_.erase(where);
  m.deadline = time::max();
  for (const auto& where : difference(m.target, m.owned)) {
    if (owners_.emplace(where, member).second) changes.acquired.push_back(where);
  }
  auto kept = difference(m.owned, changes.revoked);
  m.owned.clear();
  std::merge(kept.begin(), kept.end(), changes.acquired.begin(), changes.acquired.end(),
             std::back_inserter(m.owned));
  return changes;
}

bool group_state::owns(const std::string& member, const topic_partition& where) const {
  const auto found = owners_.find(where);
  return found != owners_.end() && found->second == member;
}

bool group_state::pending(const std::string& member) const {
  const auto found = members_.find(member);
  if (found == members_.end()) return true;
  const member_state& m = found->second;
  if (!difference(m.owned, m.target).empty()) return true;
  for (const auto& where : difference(m.target, m.owned)) {
    if (!owners_.contains(where)) return true;
  }
  return false;
}

group_state::time group_state::next_deadline() const {
  time first = time::max();
  for (const auto& [id, m] : members_) first = std::min(first, m.deadline);
  return first;
}

std::vector<group_state::member_view> group_state::members() const {
  std::vector<member_view> all;
  for (const auto& [id, m] : members_) all.push_back({id, m.owned});
  return all;
}

}  // namespace levada::group
