#include "bus/settle_intent.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bus/dispatch.hpp"

namespace levada {

settle_intent::settle_intent(queue_slot& queue, const queue_consumer_state::entries& entries, settling how)
    : queue_{queue}, what_{how == settling::rejected ? flow_step::rejected : flow_step::acknowledged} {
  positions_.reserve(entries.size());
  messages_.reserve(entries.size());
  for (const auto& [tag, entry] : entries) {
    positions_.push_back(entry.position);
    messages_.push_back(entry);
  }
  std::sort(positions_.begin(), positions_.end());
}

settle_intent::settle_intent(queue_slot& queue, std::vector<queue::taken_entry> purged)
    : queue_{queue}, messages_{std::move(purged)}, what_{flow_step::purged} {
  positions_.reserve(messages_.size());
  for (const queue::taken_entry& entry : messages_) positions_.push_back(entry.position);
}

result<void> settle_intent::execute(commit_scope& scope) {
  if (queue_.state.deleted) {
    return error{errc::closed, fmt::format("queue '{}' is deleted", queue_.state.name())};
  }
  if (auto settled = scope.settle(queue_, positions_); !settled || !what_) return settled;
  if (*what_ == flow_step::rejected) {
    for (const queue::taken_entry& entry : messages_)
      scope.casualties().push_back({&queue_, entry.where, dead_letter_reason::rejected, entry.delivered});
    return bury(scope);
  }
  core& owner = scope.owner();
  const auto how = *what_ == flow_step::purged ? departure::discarded : departure::acknowledged;
  for (const queue::taken_entry& entry : messages_) {
    owner.ledger().note(scope, queue_, entry.where, *what_, entry.delivered);
    auto noted = owner.tickets().note(scope, queue_.state.id(), entry.where, how);
    if (!noted) return scope.undo(noted.error());
  }
  return {};
}

}  // namespace levada
