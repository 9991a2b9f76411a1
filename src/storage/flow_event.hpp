#pragma once

/// @file
/// What the flow ledger's records say: their stored form is a message of schemas/ledger.capnp.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <levada/error.hpp>

namespace levada::storage {

/// Something that has happened to a message. Borrows all texts. Times are in microseconds since 1970.
struct flow_event {
  static constexpr std::uint8_t published = 0;
  static constexpr std::uint8_t routed = 1;
  static constexpr std::uint8_t cancelled = 2;
  /// Plus a `flow_step`.
  static constexpr std::uint8_t first_step = 16;

  struct place {
    std::string_view exchange;
    std::uint32_t partition = 0;
    std::uint64_t offset = 0;
  };
  struct cause {
    place where;
    std::string_view queue;  ///< empty: not known
    std::uint8_t death = 0;  ///< a `dead_letter_reason`; 0: it was handled
  };

  std::uint8_t what = published;
  place where;
  // Of what is published:
  std::string_view routing_key = {};
  std::string_view message_id = {};
  std::string_view correlation_id = {};
  std::int64_t due = 0;
  std::optional<cause> because = std::nullopt;
  std::vector<std::string_view> queues = {};  ///< also of what is routed
  // Of a step:
  std::string_view queue = {};
  std::int64_t delivered = 0;  ///< 0: it had not been handed out
};

[[nodiscard]] std::string encode(const flow_event& event);
/// Borrowed from `value`, which begins at a multiple of 8 bytes. Fails with `damaged` for what is no event.
[[nodiscard]] result<flow_event> decode_flow_event(std::string_view value);

}  // namespace levada::storage
