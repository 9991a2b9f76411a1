#pragma once

/// @file
/// Policies: what holds for queues and exchanges by their names, and can be changed at any time.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <levada/options.hpp>

namespace levada {

/// What a policy is about.
enum class policy_target : std::uint8_t {
  all = 0,
  queues = 1,
  exchanges = 2,
};

/// What a policy sets; what it leaves out is as declared. See `queue_options` and `exchange_options` for what
/// each means, and what it may be.
struct policy_definition {
  // Of queues
  std::optional<std::chrono::milliseconds> message_ttl = std::nullopt;
  std::optional<std::chrono::milliseconds> expires = std::nullopt;
  std::optional<std::uint64_t> max_length = std::nullopt;
  std::optional<std::uint64_t> max_length_bytes = std::nullopt;
  std::optional<levada::overflow> overflow = std::nullopt;
  std::optional<std::string> dead_letter_exchange = std::nullopt;
  std::optional<std::string> dead_letter_routing_key = std::nullopt;
  std::optional<std::uint32_t> delivery_limit = std::nullopt;
  std::optional<levada::redelivery_delay> redelivery_delay = std::nullopt;
  // Of exchanges
  std::optional<std::string> alternate_exchange = std::nullopt;

  friend bool operator==(const policy_definition&, const policy_definition&) = default;
};

/// A policy, as RabbitMQ has them. Of those that match a name, the one with the highest priority holds, and
/// it alone; of several such, the one whose name comes first.
///
/// It holds beside what a queue or exchange was declared with: where both give a number (time, length,
/// limit), the smaller one; where both give anything else, what was declared. (A queue that was declared with
/// `overflow::drop_head` has not been given any.)
struct policy_options {
  /// A regular expression, in Perl's syntax as Boost.Regex knows it, found anywhere in a name: `^orders\.`
  /// for what begins so. At most 1,024 bytes.
  std::string pattern = {};
  policy_target apply_to = policy_target::all;
  std::int32_t priority = 0;
  policy_definition definition = {};

  friend bool operator==(const policy_options&, const policy_options&) = default;
};

/// Limits that an operator sets to queues, whatever was declared and whatever policies say: the smaller
/// number holds.
struct operator_limits {
  std::optional<std::chrono::milliseconds> message_ttl = std::nullopt;
  std::optional<std::chrono::milliseconds> expires = std::nullopt;
  std::optional<std::uint64_t> max_length = std::nullopt;
  std::optional<std::uint64_t> max_length_bytes = std::nullopt;
  std::optional<std::uint32_t> delivery_limit = std::nullopt;

  friend bool operator==(const operator_limits&, const operator_limits&) = default;
};

/// RabbitMQ's operator policy. Which of several holds is decided as among policies.
struct operator_policy_options {
  /// As that of a policy.
  std::string pattern = {};
  std::int32_t priority = 0;
  operator_limits limits = {};

  friend bool operator==(const operator_policy_options&, const operator_policy_options&) = default;
};

struct policy_info {
  std::string name;
  policy_options options;
};

struct operator_policy_info {
  std::string name;
  operator_policy_options options;
};

}  // namespace levada
