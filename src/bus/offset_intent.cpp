#include "bus/offset_intent.hpp"

#include <fmt/format.h>

#include "group/offset_table.hpp"

namespace levada {

result<void> offset_intent::execute(commit_scope& scope) {
  {
    const std::lock_guard guard{group_->mutex};
    if (!group_->state.has(member_)) {
      return error{errc::fenced, fmt::format("member '{}' was removed from the group", member_)};
    }
    for (const offset_entry& e : entries_) {
      if (!scope.owner().find_topic(e.log)) {
        return error{errc::unknown_topic, fmt::format("topic '{}' has been deleted", e.where.topic)};
      }
      if (group_->state.owns(member_, e.where)) continue;
      return error{errc::not_assigned, fmt::format("topic '{}' partition {} is not assigned to member '{}'",
                                                   e.where.topic, e.where.partition.value(), member_)};
    }
  }
  for (const offset_entry& e : entries_) {
    auto stored = scope.written(group::write_offset(
        scope.txn(), scope.tables(), {group_->id, e.log, e.where.partition.value(), e.next, scope.now()}));
    if (!stored) return stored;
  }
  return {};
}

}  // namespace levada
