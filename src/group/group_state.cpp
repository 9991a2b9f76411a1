#include "group/group_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "group/assignment_check.hpp"

namespace levada::group {
namespace {

std::vector<topic_partition> difference(const std::vector<topic_partition>& a,
                                        const std::vector<topic_partition>& b) {
  std::vector<topic_partition> only;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only));
  return only;
}

}  // namespace

result<void> group_state::join(const std::string& member, std::vector<std::string> topics,
                               time rebalance_timeout,
                               const std::map<std::string, std::uint32_t>& topic_sizes,
                               std::shared_ptr<const assignor> by, time now) {
  if (!members_.empty() && by->name() != assignor_->name()) {
    return error{errc::inequivalent,
                 fmt::format("its members use the assignor '{}', not '{}'", assignor_->name(), by->name())};
  }
  for (const auto& [topic, partitions] : topic_sizes) topic_sizes_[topic] = partitions;
  const auto before = std::exchange(assignor_, std::move(by));
  member_state& m = members_[member];
  m.topics = std::move(topics);
  m.rebalance_timeout = rebalance_timeout;
  auto assigned = rebalance(now);
  if (!assigned) {
    members_.erase(member);
    assignor_ = before;
  }
  return assigned;
}

void group_state::leave(const std::string& member, time now) {
  const auto found = members_.find(member);
  if (found == members_.end()) return;
  for (const auto& where : found->second.owned) owners_.erase(where);
  members_.erase(found);
  broken_ = rebalance(now);
}

result<void> group_state::rebalance(time now) {
  if (members_.empty()) {
    ++generation_;
    return {};
  }
  std::vector<assignor_member> readers;
  for (const auto& [id, m] : members_) readers.push_back({id, m.topics, m.owned});
  std::vector<assignor_topic> sizes;
  for (const auto& [topic, partitions] : topic_sizes_) sizes.push_back({topic, partitions});
  std::vector<std::vector<topic_partition>> assigned;
  try {
    assigned = assignor_->assign(readers, sizes);
  } catch (const std::exception& e) {
    return error{errc::invalid_argument, fmt::format("assignor '{}': {}", assignor_->name(), e.what())};
  }
  if (auto kept = check_assignment(*assignor_, readers, sizes, assigned); !kept) return kept;
  broken_ = {};
  ++generation_;
  std::size_t i = 0;
  bool changes = false;
  for (auto& [id, m] : members_) {
    m.target = std::move(assigned[i++]);
    std::sort(m.target.begin(), m.target.end());
    changes |= m.target != m.owned;
  }
  const bool all_give_up = changes && !assignor_->cooperative();
  for (auto& [id, m] : members_) {
    m.gives_up_all = all_give_up && !m.owned.empty();
    const bool must_give_up = m.gives_up_all || !difference(m.owned, m.target).empty();
    if (!must_give_up) {
      m.deadline = time::max();
    } else if (m.deadline == time::max()) {
      m.deadline = now + m.rebalance_timeout;
    }
  }
  return {};
}

bool group_state::someone_gives_up_all() const {
  return std::any_of(members_.begin(), members_.end(),
                     [](const auto& entry) { return entry.second.gives_up_all; });
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
  if (known) broken_ = rebalance(now);
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
  changes.broken = broken_;
  changes.revoked = m.gives_up_all ? m.owned : difference(m.owned, m.target);
  for (const auto& where : changes.revoked) owners_.erase(where);
  m.deadline = time::max();
  m.gives_up_all = false;
  auto kept = difference(m.owned, changes.revoked);
  if (!someone_gives_up_all()) {
    for (const auto& where : difference(m.target, kept)) {
      if (owners_.emplace(where, member).second) changes.acquired.push_back(where);
    }
  }
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
  if (!broken_ || m.gives_up_all || !difference(m.owned, m.target).empty()) return true;
  if (someone_gives_up_all()) return false;
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
