#pragma once

/// @file
/// The exchanges and queues of histories of queues, and how messages go through them: what the victim and
/// the check both know.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <crash/victim_tools.hpp>

#include <levada/levada.hpp>

namespace levada::crash {

/// Where all dead letters go.
inline constexpr const char* grave_name = "grave";
/// A queue that comes and goes, bound to `exact_exchange` under its name.
inline constexpr const char* passing_name = "passing";
/// Topic and fanout exchanges under whose overflow scope a queue alone refuses, and a direct one under whose
/// scope it refuses for all.
inline constexpr const char* way_exchange = "way";
inline constexpr const char* fan_exchange = "fan";
inline constexpr const char* exact_exchange = "exact";
/// For dead letters; some come to the grave through the default exchange instead.
inline constexpr const char* dead_exchange = "dead";

struct queue_layout {
  const char* name;
  queue_options options;

  [[nodiscard]] bool has_grave() const noexcept { return options.dead_letter_exchange.has_value(); }
  [[nodiscard]] bool refuses() const noexcept { return options.overflow != overflow::drop_head; }
  [[nodiscard]] bool counts() const noexcept { return options.delivery_limit || options.redelivery_delay; }
};

/// All queues; the one that comes and goes is the last.
[[nodiscard]] const std::vector<queue_layout>& queue_layouts();
/// Throws `std::out_of_range` for an unknown name.
[[nodiscard]] const queue_layout& layout_of(const std::string& queue);

/// The queue in which a message of the grave has died; empty when it is no dead letter.
[[nodiscard]] std::string died_in(const record_view& r);

/// Makes all but the queue that comes and goes.
void declare_world(bus& b, teller& out);

/// A way that a message can take.
struct way {
  const char* exchange;
  const char* routing_key;
  /// With commas between, as in `sending`.
  const char* queues;
  /// Of these, which refuses when it is full while others get the message; or null.
  const char* refusing = nullptr;
};
/// All but to the queue that comes and goes. None leads to the grave.
[[nodiscard]] const std::vector<way>& ways();
[[nodiscard]] const way& way_to_passing();

}  // namespace levada::crash
