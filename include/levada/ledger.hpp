#pragma once

/// @file
/// The flow ledger: what has happened to messages, kept by the bus, and told as a tree of causes.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <levada/dead_letter.hpp>
#include <levada/types.hpp>

namespace levada {

/// The topic that the ledger is kept in: one partition, of records whose values are Cap'n Proto messages
/// (schemas/ledger.capnp). It is there from the first opening with `bus_options::ledger` on, and is read like
/// any other, also when the bus keeps no ledger any more. Not to be published to.
inline constexpr std::string_view ledger_topic = "levada.ledger";

/// What may happen to a message in a queue.
enum class flow_step : std::uint8_t {
  /// A consumer has acknowledged it.
  acknowledged = 0,
  /// A consumer has rejected it.
  rejected = 1,
  /// It has come back: by `nack`, or as its consumer went, but not as the bus was closed or the process
  /// ended.
  returned = 2,
  /// It has left, as its time was over.
  expired = 3,
  /// It has left, as the queue was too long.
  dropped = 4,
  /// It has left, as it had come back too often.
  exhausted = 5,
  /// It was purged.
  purged = 6,
};

/// Something that has happened to a message in a queue.
struct traced_step {
  flow_step what = flow_step::acknowledged;
  std::string queue;
  /// When that was committed. What only comes back is noted soon after.
  timestamp time;
  /// When a consumer had got it, if that is what ended so.
  std::optional<timestamp> delivered = std::nullopt;
};

/// A message, and what is known to have happened to it.
struct traced_message {
  std::string exchange;
  partition_id partition;
  levada::offset offset;
  std::string routing_key;
  std::string message_id;
  std::string correlation_id;
  timestamp published;
  /// Of one with a delay: until when it waits, or waited, to be routed.
  std::optional<timestamp> due = std::nullopt;
  /// When it was cancelled, if it was.
  std::optional<timestamp> cancelled = std::nullopt;
  /// That have got it, in the order in which they did.
  std::vector<std::string> queues;
  /// In the order of their commits.
  std::vector<traced_step> steps;

  /// For which of the messages of the trace it was published: which place that has there. It comes before
  /// this one.
  std::optional<std::size_t> cause = std::nullopt;
  /// From which queue that came, where it is known.
  std::string cause_queue;
  /// Why that died, where this is what became of it; else this was published while that was handled.
  std::optional<dead_letter_reason> death = std::nullopt;
};

/// What a ledger tells of some messages, and of all that was published on their account.
struct message_trace {
  /// In the order in which they were published.
  std::vector<traced_message> messages;
  /// Whether there are more than were asked for.
  bool truncated = false;
};

/// How far `bus::trace` goes.
struct trace_options {
  /// How many messages it tells of. Default: 10,000.
  std::size_t messages_max = 10'000;
};

}  // namespace levada
