#pragma once

#include <string_view>

#include <levada/error.hpp>

namespace levada {

/// Largest name: 255 bytes.
inline constexpr std::size_t name_bytes_max = 255;

/// Whether `name` may name a topic, exchange, queue, group or member. `operation` and `what` are for the
/// message: "declare topic", "topic".
[[nodiscard]] result<void> check_name(std::string_view operation, std::string_view what,
                                      std::string_view name);

/// Whether a name does not begin with "amq.", which is for the library itself.
[[nodiscard]] result<void> check_not_reserved(std::string_view operation, std::string_view name);

/// Whether the bytes are UTF-8 (RFC 3629: shortest forms, no surrogates).
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace levada
