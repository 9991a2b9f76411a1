#pragma once

/// @file
/// Messages as both sides of the comparison see them: plain data that compares and prints.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace levada::rabbit {

/// A typed value of a header or an argument. `std::monostate` is AMQP's void.
using field_value = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

/// Ordered by name where it was received; as written where it is sent. Names are unique.
using field_table = std::vector<std::pair<std::string, field_value>>;

/// One entry of `x-death`, without its time, which no two runs share.
struct death {
  std::string queue;
  /// "rejected", "expired", "maxlen" or "delivery_limit".
  std::string reason;
  std::int64_t count = 0;
  std::string exchange;
  std::vector<std::string> routing_keys;
  /// The TTL of the message, in milliseconds as text, which was removed when it died.
  std::optional<std::string> original_expiration;

  friend bool operator==(const death&, const death&) = default;
};

/// `x-first-death-queue`, `-reason` and `-exchange`.
struct first_death {
  std::string queue;
  std::string reason;
  std::string exchange;

  friend bool operator==(const first_death&, const first_death&) = default;
};

struct message {
  /// The one it was published to last, by a publisher or as a dead letter.
  std::string exchange;
  std::string key;
  /// Those of the publisher. What dead-lettering adds is in `deaths` and `first`.
  field_table headers;
  /// The newest first. The order of the others is RabbitMQ's own: see `broker::perform`.
  std::vector<death> deaths;
  std::optional<first_death> first;
  std::optional<std::uint8_t> priority;
  /// In milliseconds, as text.
  std::optional<std::string> expiration;
  std::string body;

  friend bool operator==(const message&, const message&) = default;
};

[[nodiscard]] std::string to_text(const field_value& value);
[[nodiscard]] std::string to_text(const field_table& table);
[[nodiscard]] std::string to_text(const death& d);
[[nodiscard]] std::string to_text(const message& m);

}  // namespace levada::rabbit
