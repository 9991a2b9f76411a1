#include "bus/names.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace levada {

bool is_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t more = 0;
    char32_t code = 0;
    char32_t smallest = 0;
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if ((lead & 0xe0U) == 0xc0) {
      more = 1, code = lead & 0x1fU, smallest = 0x80;
    } else if ((lead & 0xf0U) == 0xe0) {
      more = 2, code = lead & 0x0fU, smallest = 0x800;
    } else if ((lead & 0xf8U) == 0xf0) {
      more = 3, code = lead & 0x07U, smallest = 0x10000;
    } else {
      return false;
    }
    if (text.size() - i <= more) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xc0U) != 0x80) return false;
      code = (code << 6) | (byte & 0x3fU);
    }
    if (code < smallest || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

result<void> check_name(std::string_view operation, std::string_view what, std::string_view name) {
  const auto refuse = [&](const char* why) {
    return error{errc::name_invalid, fmt::format("{}: the {}'s name {}", operation, what, why)};
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > name_bytes_max) {
    return error{errc::name_invalid, fmt::format("{}: the {}'s name has {} bytes, the limit is {}", operation,
                                                 what, name.size(), name_bytes_max)};
  }
  if (std::any_of(name.begin(), name.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return refuse("holds a control character");
  }
  if (!is_utf8(name)) return refuse("is not UTF-8");
  return {};
}

result<void> check_not_reserved(std::string_view operation, std::string_view name) {
  if (!name.starts_with("amq.")) return {};
  return error{errc::name_invalid,
               fmt::format("{} '{}': names that begin with 'amq.' are reserved", operation, name)};
}

}  // namespace levada
