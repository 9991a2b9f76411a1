#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <levada/error.hpp>

namespace live_profile {

/// A text that is nobody's business. It turns into a plain one only where `reveal` is written, so it does not
/// slip into a log line, a format string or an event. A value.
class secret {
 public:
  secret() = default;
  explicit secret(std::string text) : text_{std::move(text)} {}
  [[nodiscard]] const std::string& reveal() const noexcept { return text_; }

  friend bool operator==(const secret&, const secret&) = default;

 private:
  std::string text_;
};

/// What the user service alone knows of a user. It shares no type with `public_profile`, and is kept in a
/// table of its own, which nobody else opens.
struct credentials {
  /// 1 to 254 bytes without control characters.
  secret mail_address;
  /// As the login service has made it, salt and parameters included: 1 to 500 bytes without control
  /// characters.
  secret password_hash;

  friend bool operator==(const credentials&, const credentials&) = default;
};

/// Fails with `invalid_argument`, and names the field but not what is in it.
[[nodiscard]] levada::result<void> check(const credentials& c);

/// As it stands in the table: both fields, with a tab between them.
[[nodiscard]] std::string reveal_entry(const credentials& c);
/// Reads such a text; nothing where it is none.
[[nodiscard]] std::optional<credentials> parse_credentials(std::string_view text);

}  // namespace live_profile
