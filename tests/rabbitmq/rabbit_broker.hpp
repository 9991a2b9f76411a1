#pragma once

/// @file
/// RabbitMQ's side of the comparison.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <rabbitmq/broker.hpp>
#include <rabbitmq/rabbit_client.hpp>
#include <rabbitmq/rabbit_server.hpp>

namespace levada::rabbit {

/// A fresh virtual host of a server, deleted on destruction. The server must outlive it.
///
/// An error closes its channel, which would return deliveries. So topology, publishing and the deliveries of
/// each queue have channels of their own, and a queue is looked for before something is got from it.
class rabbit_broker final : public broker {
 public:
  explicit rabbit_broker(rabbit_server& server) : host_{server}, client_{server.port(), host_.name()} {}

  [[nodiscard]] std::optional<std::uint32_t> depth(const std::string& queue) override;

 private:
  struct consumer {
    channel number = 0;
    /// Of unsettled deliveries, in order.
    std::vector<std::uint64_t> tags;
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
  consumer& consumer_of(const std::string& queue);

  virtual_host host_;
  rabbit_client client_;
  /// After those of topology and publishing.
  channel next_delivery_channel_ = 3;
  std::map<std::string, consumer> consumers_;
};

}  // namespace levada::rabbit
