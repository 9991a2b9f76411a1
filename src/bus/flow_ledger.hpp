#pragma once

/// @file
/// What the bus notes of messages in the flow ledger, within the commits that it tells of.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/slots.hpp"
#include "queue/tickets.hpp"

#include <levada/ledger.hpp>
#include <levada/record.hpp>

namespace levada {

class commit_scope;
class core;

/// Why a message is published, as far as it is known.
struct flow_cause {
  /// Where the message, or record, stands that is handled, or has died.
  std::string exchange;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
  /// From which queue; empty where it is not known.
  std::string queue;
  std::optional<dead_letter_reason> death = std::nullopt;
};

/// What is handled in this thread by a handler of the host's, so that what it publishes has a cause. Lives on
/// the stack of the thread that calls.
class current_handling {
 public:
  current_handling(const core& owner, const record_view& message, const std::string& queue) noexcept;
  current_handling(const current_handling&) = delete;
  current_handling& operator=(const current_handling&) = delete;
  ~current_handling();
  /// Null where nothing is handled in this thread, or of another bus.
  [[nodiscard]] static std::shared_ptr<const flow_cause> cause(const core& owner);

 private:
  const core& owner_;
  const record_view& message_;
  const std::string& queue_;
  const current_handling* const outer_;
};

/// Off unless the host wants it: then every call returns at once. The committing thread alone.
class flow_ledger {
 public:
  explicit flow_ledger(core& owner) noexcept : owner_{owner} {}

  /// Once, before use: makes the topic where the host wants a ledger.
  [[nodiscard]] result<void> start();
  /// From any thread.
  [[nodiscard]] bool on() const noexcept { return topic_ != nullptr; }
  [[nodiscard]] const std::shared_ptr<topic_slot>& topic() const noexcept { return topic_; }

  // Within a commit, which writes what is noted at its end:

  struct published_message {
    const topic_slot& exchange;
    std::uint32_t partition;
    std::uint64_t offset;
    std::string_view routing_key;
    std::string_view extras;
    std::int64_t due;         // 0: it does not wait
    const flow_cause* cause;  // null: none
  };
  void note(commit_scope& scope, const published_message& message, const std::vector<queue_slot*>& queues);
  /// A message that has waited.
  void note_routed(commit_scope& scope, const topic_slot& exchange, std::uint32_t partition,
                   std::uint64_t offset, const std::vector<queue_slot*>& queues);
  void note_cancelled(commit_scope& scope, const queue::message_place& where);
  /// `delivered`: when it had been handed out, in microseconds since 1970, or 0.
  void note(commit_scope& scope, const queue_slot& queue, const queue::reference& where, flow_step what,
            std::int64_t delivered = 0);

 private:
  core& owner_;
  std::shared_ptr<topic_slot> topic_;
};

}  // namespace levada
