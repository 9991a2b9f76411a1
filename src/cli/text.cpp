#include "cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace levada::cli {
namespace {

/// A character at the start of a text: how many bytes it takes, 0 when they are not UTF-8.
struct character {
  std::size_t size = 0;
  char32_t code = 0;
};

character first_character(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) return {1, lead};
  std::size_t size = 0;
  char32_t code = 0;
  char32_t smallest = 0;
  if (lead >= 0xc2 && lead < 0xe0) {
    size = 2, code = lead & 0x1fU, smallest = 0x80;
  } else if (lead >= 0xe0 && lead < 0xf0) {
    size = 3, code = lead & 0x0fU, smallest = 0x800;
  } else if (lead >= 0xf0 && lead < 0xf5) {
    size = 4, code = lead & 0x07U, smallest = 0x10000;
  } else {
    return {};
  }
  if (text.size() < size) return {};
  for (std::size_t i = 1; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0U) != 0x80) return {};
    code = (code << 6) | (byte & 0x3fU);
  }
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < smallest || code > 0x10ffff || surrogate) return {};
  return {size, code};
}

/// How many bytes at the start of the text are ASCII, looked at eight at a time.
std::size_t ascii_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  for (std::uint64_t word = 0; text.size() - i >= sizeof word; i += sizeof word) {
    std::memcpy(&word, text.data() + i, sizeof word);
    if ((word & 0x8080'8080'8080'8080U) != 0) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

bool is_utf8(std::string_view bytes) noexcept {
  for (;;) {
    bytes.remove_prefix(ascii_prefix(bytes));
    if (bytes.empty()) return true;
    const auto [size, code] = first_character(bytes);
    if (size == 0) return false;
    bytes.remove_prefix(size);
  }
}

std::string to_base64(std::string_view bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = (group << 8) | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= count ? digits[(group >> (18 - 6 * k)) & 0x3fU] : '=';
    }
  }
  return text;
}

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const auto [size, code] = first_character(text);
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    if (size > 0 && !control) {
      shown += text.substr(0, size);
      text.remove_prefix(size);
      continue;
    }
    // A control character beyond ASCII takes two bytes, each shown by itself.
    const std::size_t count = std::max<std::size_t>(size, 1);
    for (std::size_t i = 0; i < count; ++i) {
      fmt::format_to(std::back_inserter(shown), "\\x{:02x}", static_cast<unsigned char>(text[i]));
    }
    text.remove_prefix(count);
  }
  return shown;
}

std::string to_size(std::uint64_t bytes) {
  for (const auto& [shift, unit] : {std::pair{30, "GiB"}, std::pair{20, "MiB"}, std::pair{10, "KiB"}}) {
    if (bytes % (std::uint64_t{1} << shift) == 0) return fmt::format("{}{}", bytes >> shift, unit);
  }
  return fmt::format("{}B", bytes);
}

std::string about_size(std::uint64_t bytes) {
  for (const auto& [shift, unit] :
       {std::pair{40, "TiB"}, std::pair{30, "GiB"}, std::pair{20, "MiB"}, std::pair{10, "KiB"}}) {
    const std::uint64_t one = std::uint64_t{1} << shift;
    if (bytes >= one) {
      return fmt::format("{:.1f} {}", static_cast<double>(bytes) / static_cast<double>(one), unit);
    }
  }
  return fmt::format("{} B", bytes);
}

std::size_t character_count(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

}  // namespace levada::cli
