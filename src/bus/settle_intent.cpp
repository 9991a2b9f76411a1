#include "bus/settle_intent.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bus/dispatch.hpp"

namespace levada {

settle_intent::settle_intent(queue_slot& queue, const queue_consumer_state::entries& entries, settling how)
    : queue_{queue} {
  positions_.reserve(entries.size());
  for (const auto& [tag, entry] : entries) {
    positions_.push_back(entry.position);
    if (how == settling::rejected) rejected_.push_back(entry.where);
  }
  std::sort(positions_.begin(), positions_.end());
}

result<void> settle_intent::execute(commit_scope& scope) {
  if (queue_.state.deleted) {
    return error{errc::closed, fmt::format("queue '{}' is deleted", queue_.state.name())};
  }
  if (auto settled = scope.settle(queue_, positions_); !settled || rejected_.empty()) return settled;
  for (const queue::reference& where : rejected_)
    scope.casualties().push_back({&queue_, where, dead_letter_reason::rejected});
  return bury(scope);
}

}  // namespace levada
