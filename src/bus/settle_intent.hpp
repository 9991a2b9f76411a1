#pragma once

#include <cstdint>
#include <vector>

#include "bus/queue_consumer_state.hpp"

namespace levada {

/// Settles entries of a queue.
class settle_intent : public intent {
 public:
  settle_intent(queue_slot& queue, const queue_consumer_state::entries& entries);
  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope&) noexcept override {}

 private:
  queue_slot& queue_;
  std::vector<std::uint64_t> positions_;  // sorted
};

}  // namespace levada
