#pragma once

/// @file
/// What would become of a message if it were published: see `bus::explain`.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <levada/error.hpp>
#include <levada/record.hpp>

namespace levada {

/// A way that a message takes.
struct routing_step {
  /// Who sends it that way.
  std::string exchange;
  /// Where it leads: to a queue, or an exchange.
  std::string destination;
  bool to_exchange = false;
  /// Of the binding: its routing key, pattern or weight, and its arguments. Empty where there is none, as
  /// from the default exchange, and to an alternate one.
  std::string key = {};
  binding_arguments arguments = {};
  /// As a sentence, such as "the routing key 'user.changed' matches the pattern 'user.*'".
  std::string why = {};
};

/// What a queue does with a message that reaches it; where publishing fails, what it would do by itself.
enum class queue_verdict : std::uint8_t {
  /// It enters.
  enters,
  /// It enters, and the oldest ready messages go, or it goes itself: they become dead letters where the queue
  /// has a dead-letter exchange.
  drops_head,
  /// The queue is full, and refuses it.
  refuses,
  /// The queue is full, and refuses it; it becomes a dead letter.
  dead_letters,
};

/// A queue that a message reaches.
struct queue_outcome {
  std::string queue;
  queue_verdict verdict = queue_verdict::enters;
  /// How long it would be of use there, in milliseconds; nothing: for ever.
  std::optional<std::int64_t> expires_in = std::nullopt;
  /// The dead-letter exchange of the queue, where it has one; empty: the default exchange.
  std::optional<std::string> dead_letter_exchange = std::nullopt;
};

/// What would become of a message.
struct explanation {
  /// In the order in which exchanges are asked.
  std::vector<routing_step> steps;
  /// Each once, by name.
  std::vector<queue_outcome> queues;
  /// Why publishing it would fail; nothing where it would not.
  std::optional<error> refused;
};

}  // namespace levada
