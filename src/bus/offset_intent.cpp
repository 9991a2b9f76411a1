#include "bus/offset_intent.hpp"

#include <fmt/format.h>

#include "group/offset_table.hpp"

namespace levada {

result<void> check_offsets(core& owner, const group_slot& group, const member_identity& member,
                           const std::vector<offset_entry>& entries) {
  if (group.deleted) return error{errc::unknown_group, fmt::format("group '{}' is deleted", group.name)};
  if (member.id.empty() && !group.state.empty()) {
    return error{errc::group_in_use,
                 fmt::format("group '{}' has members, who alone commit its offsets", group.name)};
  }
  if (!member.id.empty() && !member.is_in(group.state)) {
    return error{errc::fenced, fmt::format("member '{}' was removed from the group", member.id)};
  }
  for (const offset_entry& e : entries) {
    if (!owner.find_topic(e.log)) {
      return error{errc::unknown_topic, fmt::format("topic '{}' has been deleted", e.where.topic)};
    }
    if (member.id.empty() || group.state.owns(member.id, e.where)) continue;
    return error{errc::not_assigned, fmt::format("topic '{}' partition {} is not assigned to member '{}'",
                                                 e.where.topic, e.where.partition.value(), member.id)};
  }
  return {};
}

result<void> write_offsets(commit_scope& scope, const group_slot& group,
                           const std::vector<offset_entry>& entries) {
  for (const offset_entry& e : entries) {
    const std::uint32_t partition = e.where.partition.value();
    if (e.unless_stored) {
      auto before =
          scope.written(group::read_offset(scope.txn(), scope.tables(), group.id, e.log, partition));
      if (!before) return before.error();
      if (*before && (*before)->next == e.next) continue;
    }
    auto stored = scope.written(group::write_offset(
        scope.txn(), scope.tables(), {group.id, e.log, partition, e.next, scope.now(), e.metadata}));
    if (!stored) return stored;
    ++scope.counts().offsets;
  }
  return {};
}

result<void> offset_intent::execute(commit_scope& scope) {
  {
    const std::lock_guard guard{group_->mutex};
    if (auto may = check_offsets(scope.owner(), *group_, member_, what_->entries); !may) return may;
    what_->order = ++group_->offset_commits;
  }
  return write_offsets(scope, *group_, what_->entries);
}

}  // namespace levada
