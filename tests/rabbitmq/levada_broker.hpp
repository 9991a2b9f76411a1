#pragma once

/// @file
/// levada's side of the comparison.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <rabbitmq/broker.hpp>

#include <levada/bus.hpp>
#include <levada/clock.hpp>

namespace levada::rabbit {

/// A fresh bus in memory. Exchanges have `overflow_scope::queue`, which is RabbitMQ's.
///
/// AMQP's `basic.get` takes one message and nothing ahead. So each delivery has a consumer of its own with a
/// prefetch of 1, which goes when it is settled.
///
/// A mandatory message that is refused as unroutable is answered as returned, and neither confirmed nor
/// nacked.
class levada_broker final : public broker {
 public:
  levada_broker();

  [[nodiscard]] std::optional<std::uint32_t> depth(const std::string& queue) override;

 private:
  struct unsettled {
    queue_consumer consumer;
    delivery_tag tag;
  };

  answer apply(const declare_exchange& op) override;
  answer apply(const delete_exchange& op) override;
  answer apply(const declare_queue& op) override;
  answer apply(const delete_queue& op) override;
  answer apply(const bind& op) override;
  answer apply(const unbind& op) override;
  answer apply(const publish& op) override;
  answer apply(const get& op) override;
  answer apply(const settle& op) override;
  answer apply(const purge& op) override;
  /// Returns when nothing that has expired at the head of a queue is left, nor has a dead letter to be
  /// written.
  void wait_for_expiry();
  /// Returns when the bus's own thread has done all that was due before.
  void pass_time();

  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
  bus bus_;
  /// Of an empty queue: its time-outs are told by the thread that sees to expiry.
  queue_consumer idle_;
  /// In order of delivery.
  std::map<std::string, std::vector<unsettled>> unsettled_;
};

}  // namespace levada::rabbit
