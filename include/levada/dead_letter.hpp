#pragma once

/// @file
/// What a message remembers of its deaths: of the queues that it left for a dead-letter exchange, and why.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <levada/export.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// Why a message left its queue for a dead-letter exchange; the names are RabbitMQ's. Values reach the disk.
enum class dead_letter_reason : std::uint8_t {
  rejected = 1,        ///< a consumer refused it, and not to have it again
  expired = 2,         ///< its time was over
  maxlen = 3,          ///< the queue was full
  delivery_limit = 4,  ///< it had been handed out too often
};

/// The reason as RabbitMQ writes it: "rejected", "expired", "maxlen", "delivery_limit"; empty for a value
/// that is none of them.
[[nodiscard]] LEVADA_EXPORT std::string_view to_text(dead_letter_reason reason) noexcept;

/// One kind of death of a message, by queue and reason: an entry of RabbitMQ's `x-death`.
struct death {
  /// The queue that it left.
  std::string queue;
  dead_letter_reason reason = dead_letter_reason::rejected;
  /// How often, for this queue and reason; at least 1.
  std::uint64_t count = 1;
  /// When, the first time.
  timestamp time;
  /// The exchange that it had been published to, the first time. Empty for the default exchange.
  std::string exchange;
  /// The routing key with which it had been published, the first time.
  std::string routing_key;
  /// The property `expiration` that it had, the first time; it is lost with each death.
  std::optional<std::chrono::milliseconds> original_expiration;

  friend bool operator==(const death&, const death&) = default;
};

/// The deaths of a message, the latest first; none where it has never been dead-lettered.
///
/// They travel with it, as a binary header `x-death` that is to be read with this function alone. Beside it
/// stand three texts for the death that was its first, which later ones never change: `x-first-death-queue`,
/// `x-first-death-reason` and `x-first-death-exchange`. What hosts publish under these names is replaced at
/// the first death; bytes of theirs under `x-death` count as none, unless they are a copy of a dead-lettered
/// message's: that one's history is carried on, as RabbitMQ does.
[[nodiscard]] LEVADA_EXPORT std::vector<death> deaths_of(const record_view& r);

}  // namespace levada
