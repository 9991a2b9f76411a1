#include "definitions/values.hpp"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <span>
#include <system_error>
#include <type_traits>
#include <variant>

#include "bus/names.hpp"

namespace levada::definitions {
namespace {

namespace json = boost::json;

constexpr std::string_view text_member = "x-levada-hex";
constexpr std::string_view binary_member = "x-levada-binary";
constexpr std::string_view timestamp_member = "x-levada-timestamp";
constexpr std::string_view double_member = "x-levada-double";

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += digits[byte >> 4U];
    hex += digits[byte & 0xfU];
  }
  return hex;
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned byte = 0;
    const char* const end = hex.data() + i + 2;
    const auto [stop, failure] = std::from_chars(hex.data() + i, end, byte, 16);
    if (failure != std::errc{} || stop != end) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

std::string_view bytes_of(const json::string& text) {
  return {text.data(), text.size()};
}

json::value special(std::string_view member, const json::value& value) {
  json::object object;
  object.emplace(member, value);
  return object;
}

/// What stands in an object of that one member.
const json::value* special_of(const json::value& value, std::string_view member) {
  const auto* const object = value.if_object();
  return object != nullptr && object->size() == 1 ? object->if_contains(member) : nullptr;
}

/// The bytes in an object of that one member.
std::optional<std::string> hex_of(const json::value& value, std::string_view member) {
  const auto* const hex = special_of(value, member);
  if (hex == nullptr || !hex->is_string()) return std::nullopt;
  return from_hex(bytes_of(hex->get_string()));
}

std::optional<std::int64_t> integer_of(const json::value& value) {
  if (const auto* const n = value.if_int64()) return *n;
  return std::nullopt;
}

std::optional<double> non_finite_of(std::string_view name) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (name == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (name == "inf") return infinity;
  if (name == "-inf") return -infinity;
  return std::nullopt;
}

json::value double_to_json(double number) {
  if (std::isfinite(number)) return number;
  const char* name = number > 0 ? "inf" : "-inf";
  if (std::isnan(number)) name = "nan";
  return special(double_member, name);
}

error wrong_value(std::string_view where, const json::value& value, std::string_view wanted) {
  return invalid(where, fmt::format("{} is no {}", shown(value), wanted));
}

}  // namespace

json::value text_to_json(std::string_view text) {
  if (is_utf8(text)) return json::value(json::string_view{text});
  return special(text_member, json::value(to_hex(text)));
}

json::value to_json(const header_value& value) {
  return std::visit(
      [](const auto& v) -> json::value {
        using type = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<type, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<type, std::string>) {
          return text_to_json(v);
        } else if constexpr (std::is_same_v<type, binary>) {
          const std::string_view bytes{reinterpret_cast<const char*>(v.data()), v.size()};
          return special(binary_member, json::value(to_hex(bytes)));
        } else if constexpr (std::is_same_v<type, timestamp>) {
          return special(timestamp_member, std::int64_t{v.time_since_epoch().count()});
        } else if constexpr (std::is_same_v<type, double>) {
          return double_to_json(v);
        } else {
          return v;
        }
      },
      value);
}

std::optional<std::string> text_of(const json::value& value) {
  if (const auto* const text = value.if_string()) return std::string{bytes_of(*text)};
  return hex_of(value, text_member);
}

std::optional<header_value> header_value_of(const json::value& value) {
  if (value.is_null()) return header_value{};
  if (const auto* const truth = value.if_bool()) return header_value{*truth};
  if (const auto n = integer_of(value)) return header_value{*n};
  if (const auto* const number = value.if_double()) return header_value{*number};
  if (auto text = text_of(value)) return header_value{std::move(*text)};
  if (const auto bytes = hex_of(value, binary_member)) {
    const auto data = std::as_bytes(std::span{*bytes});
    return header_value{binary(data.begin(), data.end())};
  }
  if (const auto* const time = special_of(value, timestamp_member)) {
    const auto n = integer_of(*time);
    if (n) return header_value{timestamp{std::chrono::microseconds{*n}}};
  }
  if (const auto* const name = special_of(value, double_member); name != nullptr && name->is_string()) {
    const auto number = non_finite_of(bytes_of(name->get_string()));
    if (number) return header_value{*number};
  }
  return std::nullopt;
}

std::string shown(const json::value& value) {
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  const std::string text = json::serialize(value);
  if (text.size() <= 300) return text;
  return fmt::format("a text of {} bytes", text.size() - 2);
}

std::string_view shown_name(std::string_view name) {
  if (name.size() <= 255) return name;
  std::size_t end = 255;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0U) == 0x80) --end;
  return name.substr(0, end);
}

error invalid(std::string_view where, std::string_view what) {
  return {errc::invalid_argument, fmt::format("import definitions: {}: {}", where, what)};
}

result<std::int64_t> take_integer(std::string_view where, const json::value& value, std::int64_t least,
                                  std::int64_t most) {
  const auto n = integer_of(value);
  if (n && *n >= least && *n <= most) return *n;
  return wrong_value(where, value, fmt::format("integer from {} to {}", least, most));
}

result<double> take_number(std::string_view where, const json::value& value, double least, double most) {
  std::optional<double> number;
  if (const auto* const d = value.if_double()) number = *d;
  if (const auto n = integer_of(value)) number = static_cast<double>(*n);
  if (number && *number >= least && *number <= most) return *number;
  return wrong_value(where, value, fmt::format("number from {} to {}", least, most));
}

result<bool> take_boolean(std::string_view where, const json::value& value) {
  if (const auto* const truth = value.if_bool()) return *truth;
  return wrong_value(where, value, "true or false");
}

result<std::string> take_text(std::string_view where, const json::value& value, std::size_t bytes_max) {
  auto text = text_of(value);
  if (!text) return wrong_value(where, value, "text");
  if (text->size() > bytes_max) {
    return invalid(where, fmt::format("it has {} bytes, the limit is {}", text->size(), bytes_max));
  }
  return std::move(*text);
}

}  // namespace levada::definitions
