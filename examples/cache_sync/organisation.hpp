#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <levada/error.hpp>
#include <levada/record.hpp>

namespace cache_sync {

using organisation_id = std::uint64_t;

/// An organisation as its service keeps it, and as it tells others of it.
struct organisation {
  organisation_id id = 0;
  /// 1 when it is entered; grows by one with each change.
  std::uint64_t version = 0;
  /// How many seats it has paid for.
  std::uint32_t seats = 0;
  /// Not suspended.
  bool active = true;
  std::string name;

  friend bool operator==(const organisation&, const organisation&) = default;
};

/// As text: "17 3 25 active Mill Road Ltd".
[[nodiscard]] std::string to_text(const organisation& o);
/// Reads such a text; nothing where it is none.
[[nodiscard]] std::optional<organisation> parse_organisation(std::string_view text);

/// The event that an organisation has changed: its whole new state, under its id, so that the changes of one
/// organisation keep their order.
[[nodiscard]] levada::record to_event(const organisation& o);
/// Reads such an event. Fails with `invalid_argument` for a record of another form.
[[nodiscard]] levada::result<organisation> organisation_in(const levada::record_view& event);

}  // namespace cache_sync
