#pragma once

/// @file
/// The same history on RabbitMQ and on levada.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <rabbitmq/deliberate_differences.hpp>
#include <rabbitmq/history.hpp>
#include <rabbitmq/rabbit_server.hpp>

namespace levada::rabbit {

struct comparison {
  /// Operations that both were asked, up to the first difference, those that empty the queues included.
  std::uint64_t operations = 0;
  deliberate_differences rules;
  /// Of these, what shows that a history was worth comparing.
  std::uint64_t delivered = 0;
  std::uint64_t redelivered = 0;
  std::uint64_t dead_letters = 0;
  std::uint64_t nacked = 0;
  std::uint64_t returned = 0;
  /// The first unexplained difference: left is RabbitMQ.
  std::optional<std::string> difference;
  /// What differs: the kind of the operation, and how it ended on both sides.
  std::string kind;
};

/// Performs a history, and empties the queues as `run` does, on both sides at the same time, until they
/// differ. `context` as in `first_difference`.
[[nodiscard]] comparison compare(rabbit_server& server, const history& h, std::size_t context = 20);

/// A history that differs, without what is not needed for a difference of the same kind: none of its
/// operations can be left out.
[[nodiscard]] history shrunk(rabbit_server& server, history h);

}  // namespace levada::rabbit
