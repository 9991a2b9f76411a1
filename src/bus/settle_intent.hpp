#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "bus/queue_consumer_state.hpp"

namespace levada {

/// Settles entries of a queue. What is rejected becomes a dead letter.
class settle_intent : public intent {
 public:
  settle_intent(queue_slot& queue, const queue_consumer_state::entries& entries, settling how);
  /// Of a share group. `positions` are sorted.
  settle_intent(queue_slot& queue, std::vector<std::uint64_t> positions)
      : queue_{queue}, positions_{std::move(positions)} {}
  /// What is purged; by position.
  settle_intent(queue_slot& queue, std::vector<queue::taken_entry> purged);
  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope&) noexcept override {}

 private:
  queue_slot& queue_;
  std::vector<std::uint64_t> positions_;      // sorted
  std::vector<queue::taken_entry> messages_;  // in the order of delivery
  std::optional<flow_step> what_;             // nothing: of a share group
};

}  // namespace levada
