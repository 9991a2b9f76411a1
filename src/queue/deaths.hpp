#pragma once

/// @file
/// How a message's deaths are written down, and what follows from them. Pure functions.
///
/// The rules are those of RabbitMQ 3.10.8 (`rabbit_dead_letter.erl`; they are the same in 3.10.0 to 3.10.25),
/// but for two things.
///
/// Deaths stand in the order in which they came last, the newest first, as in RabbitMQ 4.x. 3.10 too moves
/// the latest to the front, but turns the others around whenever it has found two or more. From the third
/// kind of death on this shows in `x-death`, and it can show in what counts as a cycle.
///
/// A header `x-death` that is empty or cannot be read is none, so that the death at hand is the first. 3.10
/// replaces it too, but leaves the headers of the first death as they are, or absent.
///
/// Times are kept to the microsecond, of which RabbitMQ keeps the second.

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <levada/dead_letter.hpp>
#include <levada/record.hpp>

namespace levada::queue {

inline constexpr std::string_view death_header = "x-death";
inline constexpr std::string_view first_death_queue_header = "x-first-death-queue";
inline constexpr std::string_view first_death_reason_header = "x-first-death-reason";
inline constexpr std::string_view first_death_exchange_header = "x-first-death-exchange";

/// The value of the header `x-death`. Precondition: names and routing keys have at most 255 bytes.
[[nodiscard]] binary encode_deaths(std::span<const death> deaths);
/// The deaths that `encode_deaths` wrote; nothing for all other bytes.
[[nodiscard]] std::optional<std::vector<death>> decode_deaths(std::span<const std::byte> bytes);

/// A death, borrowed. Names and routing key have at most 255 bytes.
struct death_note {
  /// The queue that the message leaves.
  std::string_view queue;
  dead_letter_reason reason = dead_letter_reason::rejected;
  timestamp time;
  /// The exchange that the message had been published to, and its routing key there: not those to come.
  std::string_view exchange;
  std::string_view routing_key;
};

/// The message as it is to be published to the dead-letter exchange: key, value, headers and properties of
/// `r`, but without `expiration`, and with the death written down. It has no `record::time`.
///
/// A death of a queue and reason that it has known counts up that entry, which comes to the front; time,
/// exchange, routing key and original expiration stay those of its first time. Another one is a new entry in
/// front. The headers of the first death are written where `r` has no deaths yet, and are otherwise left
/// alone.
[[nodiscard]] record record_after_death(const record_view& r, const death_note& note);

/// Whether a message that has just died of `now` is to be dropped rather than put into the queue `queue`, as
/// it would go round without anyone's doing. `deaths` are those of the record that `record_after_death` made,
/// so the death at hand is among them: a queue that dead-letters to itself is a cycle at once.
///
/// Never where `now` is `rejected`. Otherwise where the message has left `queue` before, and no entry from
/// the newest up to the newest one of `queue`, itself included, says `rejected`.
[[nodiscard]] bool is_cycle(const std::vector<death>& deaths, std::string_view queue,
                            dead_letter_reason now) noexcept;

}  // namespace levada::queue
