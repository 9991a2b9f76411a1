#pragma once

#include <cstddef>
#include <string_view>

#include <boost/json/fwd.hpp>

#include <levada/error.hpp>

namespace levada::definitions {

/// The longest text that is looked at, in bytes.
inline constexpr std::size_t text_bytes_max = std::size_t{64} << 20;
/// How deep arrays and objects may lie in each other.
inline constexpr std::size_t depth_max = 32;

/// The value of a JSON text (RFC 8259). Stricter than Boost.JSON's own parser: no member of an object comes
/// twice, and no number is beyond what it can be told in, 64 bits or a double, which come out exactly.
///
/// Fails with `invalid_argument`, and tells line and column, for what is no JSON, or is too long or too deep.
[[nodiscard]] result<boost::json::value> parse(std::string_view text);

}  // namespace levada::definitions
