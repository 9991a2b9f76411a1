#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/fwd.hpp>

#include <levada/error.hpp>
#include <levada/record.hpp>

namespace levada::definitions {

// Values as JSON has them. What JSON has not stands in an object with one member: "x-levada-hex" for text
// that is not UTF-8, "x-levada-binary" for bytes, "x-levada-timestamp" for microseconds since 1970,
// "x-levada-double" for "nan", "inf" and "-inf".

[[nodiscard]] boost::json::value text_to_json(std::string_view text);
[[nodiscard]] boost::json::value to_json(const header_value& value);

/// The text that a value is; nothing where it is something else.
[[nodiscard]] std::optional<std::string> text_of(const boost::json::value& value);
/// The header's value that a value is; nothing for arrays, other objects, and integers beyond 64 bits.
[[nodiscard]] std::optional<header_value> header_value_of(const boost::json::value& value);

/// A value as error messages show it: as JSON, but not all of a long one.
[[nodiscard]] std::string shown(const boost::json::value& value);
/// A name as messages show it: all of one that is not too long to be one.
[[nodiscard]] std::string_view shown_name(std::string_view name);

/// The error of definitions that say something impossible.
[[nodiscard]] error invalid(std::string_view where, std::string_view what);

// Values of `where`, such as "queue 'orders', argument 'x-max-length'". Fail with `invalid_argument`, naming
// what may stand there.

[[nodiscard]] result<std::int64_t> take_integer(std::string_view where, const boost::json::value& value,
                                                std::int64_t least, std::int64_t most);
[[nodiscard]] result<double> take_number(std::string_view where, const boost::json::value& value,
                                         double least, double most);
[[nodiscard]] result<bool> take_boolean(std::string_view where, const boost::json::value& value);
[[nodiscard]] result<std::string> take_text(std::string_view where, const boost::json::value& value,
                                            std::size_t bytes_max);

}  // namespace levada::definitions
