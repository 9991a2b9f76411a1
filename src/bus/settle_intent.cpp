#include "bus/settle_intent.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace levada {

settle_intent::settle_intent(queue_slot& queue, const queue_consumer_state::entries& entries)
    : queue_{queue} {
  positions_.reserve(entries.size());
  for (const auto& [tag, entry] : entries) positions_.push_back(entry.position);
  std::sort(positions_.begin(), positions_.end());
}

result<void> settle_intent::execute(commit_scope& scope) {
  if (queue_.state.deleted) {
    return error{errc::closed, fmt::format("queue '{}' is deleted", queue_.state.name())};
  }
  return scope.settle(queue_, positions_);
}

}  // namespace levada
