#pragma once

/// @file
/// A prefetch limit for several consumers together.

#include <cstdint>
#include <memory>

#include <levada/export.hpp>

namespace levada {

/// A limit to the unsettled deliveries of all consumers that are given it, of whatever queues of one bus
/// (what AMQP's `basic.qos` with `global` is to a channel, as RabbitMQ has it); the limit of each counts
/// beside it. While it is reached, messages are for others, also of a lower priority. A delivery counts from
/// when it is handed out; one that is counted on the disk first, from then on.
///
/// Copies are the same limit. Safe to use from several threads.
class LEVADA_EXPORT prefetch_scope {
 public:
  class impl;
  /// At most so many unsettled deliveries; 0 is unlimited.
  explicit prefetch_scope(std::uint32_t prefetch);

  [[nodiscard]] std::uint32_t prefetch() const noexcept;
  /// How many are unsettled now.
  [[nodiscard]] std::uint64_t unsettled() const noexcept;

 private:
  friend class queue_consumer_state;
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
