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
                               time rebalance_timeout, const topic_sizes& sizes,
                               std::shared_ptr<const assignor> by, time now, held_records held) {
  if (has(member)) {
    return error{errc::invalid_argument, fmt::format("it has a member '{}' already", member)};
  }
  if (!members_.empty() && by->name() != assignor_->name()) {
    return error{errc::inequivalent,
                 fmt::format("its members use the assignor '{}', not '{}'", assignor_->name(), by->name())};
  }
  for (const auto& [topic, count] : sizes) topic_sizes_[topic] = count;
  const auto before = std::exchange(assignor_, std::move(by));
  member_state& m = members_[member];
  m.topics = std::move(topics);
  m.rebalance_timeout = rebalance_timeout;
  m.held = std::move(held);
  auto assigned = rebalance(now);
  if (!assigned) {
    members_.erase(member);
    assignor_ = before;
    return assigned;
  }
  grant();
  return {};
}

result<void> group_state::subscribe(const std::string& member, std::vector<std::string> topics,
                                    const topic_sizes& sizes, time now) {
  const auto found = members_.find(member);
  if (found == members_.end()) return error{errc::fenced, fmt::format("it has no member '{}'", member)};
  for (const auto& [topic, count] : sizes) topic_sizes_[topic] = count;
  found->second.topics.swap(topics);
  auto assigned = rebalance(now);
  if (!assigned) {
    found->second.topics.swap(topics);
    return assigned;
  }
  grant();
  return {};
}

void group_state::remove(const std::string& member, time now) {
  const auto found = members_.find(member);
  for (const auto& where : found->second.owned) owners_.erase(where);
  members_.erase(found);
  broken_ = rebalance(now);
}

void group_state::leave(const std::string& member, time now) {
  if (!has(member)) return;
  remove(member, now);
  grant();
}

void group_state::fence_overdue(time now) {
  for (bool fenced = false;; fenced = true) {
    const auto overdue = std::find_if(members_.begin(), members_.end(),
                                      [now](const auto& entry) { return entry.second.deadline <= now; });
    if (overdue == members_.end()) {
      if (fenced) grant();
      return;
    }
    if (!fenced) last_fenced_.clear();
    last_fenced_.push_back(overdue->first);
    ++fenced_;
    if (overdue->second.held) possible_duplicates_ += *overdue->second.held;
    remove(std::string{overdue->first}, now);
  }
}

void group_state::give_up(const std::string& member, const partitions& what, time now) {
  const auto found = members_.find(member);
  if (found == members_.end()) return;
  member_state& m = found->second;
  std::erase_if(m.owned, [&](const topic_partition& where) {
    const bool goes = std::binary_search(what.begin(), what.end(), where);
    if (goes) owners_.erase(where);
    return goes;
  });
  if (m.owned.empty()) m.gives_up_all = false;
  // It came in time. What it must give up since, it has the whole time for.
  m.deadline = owed(m).empty() ? time::max() : now + m.rebalance_timeout;
  grant();
}

void group_state::forget_topic(const std::string& topic, time now) {
  const auto of_topic = [&](const topic_partition& where) { return where.topic == topic; };
  bool known = false;
  for (auto& [id, member] : members_) {
    known |= std::erase(member.topics, topic) > 0;
    std::erase_if(member.owned, of_topic);
    std::erase_if(member.target, of_topic);
    if (member.owned.empty()) member.gives_up_all = false;
  }
  std::erase_if(owners_, [&](const auto& owner) { return of_topic(owner.first); });
  topic_sizes_.erase(topic);
  if (!known) return;
  broken_ = rebalance(now);
  grant();
}

group_state::partitions group_state::owed(const member_state& m) {
  return m.gives_up_all ? m.owned : difference(m.owned, m.target);
}

void group_state::grant() {
  ++version_;
  if (someone_gives_up_all()) return;
  for (auto& [id, m] : members_) {
    bool got = false;
    for (const auto& where : difference(m.target, m.owned)) {
      if (!owners_.emplace(where, id).second) continue;
      m.owned.push_back(where);
      got = true;
    }
    if (got) std::sort(m.owned.begin(), m.owned.end());
  }
}

result<void> group_state::rebalance(time now) {
  if (members_.empty()) {
    ++generation_;
    return {};
  }
  std::vector<assignor_member> readers;
  for (const auto& [id, m] : members_) readers.push_back({id, m.topics, m.owned});
  std::vector<assignor_topic> sizes;
  for (const auto& [topic, count] : topic_sizes_) sizes.push_back({topic, count});
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
    if (owed(m).empty()) {
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

bool group_state::has(const std::string& member, const held_records& held) const {
  const auto found = members_.find(member);
  return found != members_.end() && found->second.held == held;
}

bool group_state::owns(const std::string& member, const topic_partition& where) const {
  const auto found = owners_.find(where);
  return found != owners_.end() && found->second == member;
}

group_state::partitions group_state::owned_by(const std::string& member) const {
  const auto found = members_.find(member);
  return found == members_.end() ? partitions{} : found->second.owned;
}

group_state::partitions group_state::owed_by(const std::string& member) const {
  const auto found = members_.find(member);
  return found == members_.end() ? partitions{} : owed(found->second);
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
