#pragma once

/// @file
/// Which queues a message reaches.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "bus/slots.hpp"

#include <levada/explanation.hpp>
#include <levada/record.hpp>

namespace levada {

class core;

/// A message as routing sees it, borrowed. Its headers are decoded when they are first asked for.
class routed_message {
 public:
  /// `extras` as the log's codec encodes them.
  routed_message(std::string_view routing_key, std::string_view extras) noexcept
      : routing_key_{routing_key}, extras_{extras} {}
  explicit routed_message(const record_view& stored) noexcept;

  [[nodiscard]] std::string_view routing_key() const noexcept { return routing_key_; }
  [[nodiscard]] const std::vector<header_view>& headers();
  /// As a delayed exchange reads it from the header `x-delay`, in milliseconds; nothing where the message is
  /// to be routed at once.
  [[nodiscard]] std::optional<std::int64_t> delay();
  /// What a consistent-hash exchange of these traits hashes.
  [[nodiscard]] std::string hashed(const storage::exchange_traits& traits);

 private:
  std::string_view routing_key_;
  std::string_view extras_;
  std::optional<std::vector<header_view>> headers_;
};

/// Replaces `found` by what of these bindings, that are as an exchange's, a message matches.
void match_bindings(const topic_slot& exchange, routing::binding_table& bindings, routed_message& m,
                    std::vector<routing::binding_table::destination>& found);

/// Follows bindings, from exchange to exchange, and takes an exchange's alternate where nothing is bound that
/// matches: as `rabbit_exchange:route` of RabbitMQ 3.10. So a binding to an exchange counts as one, wherever
/// that leads, and no exchange is asked twice. The committing thread alone.
class router {
 public:
  explicit router(const core& owner) noexcept : owner_{owner} {}

  /// Replaces `queues` by those that the message reaches, each once. Adds the ways that it takes to `steps`,
  /// if they are wanted.
  void route(topic_slot& exchange, routed_message& m, std::vector<queue_slot*>& queues,
             std::vector<routing_step>* steps = nullptr);

 private:
  void ask(topic_slot& exchange, routed_message& m, std::vector<queue_slot*>& queues);
  void tell(topic_slot& exchange, routed_message& m, std::vector<routing_step>& steps) const;

  const core& owner_;
  std::vector<routing::binding_table::destination> found_;
  std::vector<topic_slot*> exchanges_;  // asked, and to be asked
};

}  // namespace levada
