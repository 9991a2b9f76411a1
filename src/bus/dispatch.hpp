#pragma once

/// @file
/// Messages on their way into queues, and out of them for other reasons than that they are done. Within a
/// commit, and so by the committing thread alone.

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "bus/commit_scope.hpp"
#include "log/row_encoder.hpp"

#include <levada/record.hpp>

namespace levada {

/// A message that this commit stores.
struct stored_message {
  queue::reference where;
  std::optional<std::chrono::milliseconds> expiration;
  std::uint8_t priority = 0;
  const log::row_encoder* rows = nullptr;  ///< that it alone is in; as long as the commit goes on
};

/// The queues that a message reaches.
struct reached_queues {
  std::vector<queue_slot*> takers;
  std::vector<queue_slot*> refusers;
};
/// Sets those apart that refuse a message of so many bytes, by their limits and what this commit has done so
/// far (as `rabbit_amqqueue_process:will_overflow` of RabbitMQ 3.10).
void set_refusers_apart(commit_scope& scope, reached_queues& queues, std::uint64_t bytes);

// What follows undoes the commit where it fails.

/// Enters a message into queues, and names as casualties what is then too much at their heads, and the
/// message itself where a queue that refuses it makes it a dead letter; see `bury`.
[[nodiscard]] result<void> enter_queues(commit_scope& scope, const stored_message& message,
                                        const reached_queues& queues);
/// Drops what is too much at the head of a queue, as when something has returned to it; see `bury`.
[[nodiscard]] result<void> trim(commit_scope& scope, queue_slot& queue);
/// Whether a message of so many bytes would have `enter_queues` drop something at the head of a queue.
[[nodiscard]] bool would_drop(commit_scope& scope, const queue_slot& queue, std::uint64_t bytes);
/// How long a message is of use in a queue, in milliseconds; nothing: for ever.
[[nodiscard]] std::optional<std::int64_t> time_to_live(
    const queue_slot& queue, const std::optional<std::chrono::milliseconds>& expiration);
/// When a message expires that comes to a queue at `now`, both in microseconds since 1970; 0: never.
[[nodiscard]] std::int64_t expiry_of(const queue_slot& queue,
                                     const std::optional<std::chrono::milliseconds>& expiration,
                                     std::int64_t now);
/// Whether a queue refuses a message of so many bytes, when so much has come to it in this commit that the
/// commit does not know yet.
[[nodiscard]] bool would_refuse(commit_scope& scope, const queue_slot& queue, const queue::amount& come,
                                std::uint64_t bytes);
/// Whether that would drop anything now.
[[nodiscard]] bool needs_trimming(const queue_slot& queue);

/// Publishes each casualty of the commit to its queue's dead-letter exchange, if that has one, until there
/// are no more. Queues that refuse it do not get it; nor do those that RabbitMQ's rule keeps from circles.
/// What cannot be read any more is passed over. To be called before an intent ends that may have made
/// casualties.
[[nodiscard]] result<void> bury(commit_scope& scope);

}  // namespace levada
