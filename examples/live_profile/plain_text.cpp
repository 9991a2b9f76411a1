#include "plain_text.hpp"

#include <algorithm>

#include <fmt/core.h>

namespace live_profile {
namespace {

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

}  // namespace

levada::result<void> check_plain_text(std::string_view field, std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return levada::error{levada::errc::invalid_argument,
                         fmt::format("{}: {} bytes, at most {}", field, text.size(), bytes_max)};
  }
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return levada::error{levada::errc::invalid_argument, fmt::format("{}: a control character", field)};
  }
  return {};
}

}  // namespace live_profile
