#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <levada/error.hpp>

namespace live_profile {

using user_id = std::uint64_t;

/// What everybody may know of a user, and all of it. Whatever leaves the user service is made of this type
/// alone, so a field that is not here cannot get out: to publish another one means to add it here.
struct public_profile {
  user_id id = 0;
  /// 1 when the user signs up; grows by one with each change of what is here.
  std::uint64_t version = 0;
  std::string name;
  std::string status;

  friend bool operator==(const public_profile&, const public_profile&) = default;
};

/// What users may change of it.
struct details {
  /// 1 to 100 bytes without control characters.
  std::string name;
  /// At most 200 bytes without control characters.
  std::string status;
};

/// Fails with `invalid_argument`, and says why, for details that are not as they should be.
[[nodiscard]] levada::result<void> check(const details& d);

/// As text, in fields between tabs, which no field contains: id, version, name, status.
[[nodiscard]] std::string to_text(const public_profile& p);
/// Reads such a text; nothing where it is none.
[[nodiscard]] std::optional<public_profile> parse_public_profile(std::string_view text);

}  // namespace live_profile
