#pragma once

#include <cstddef>
#include <string_view>

#include <levada/error.hpp>

namespace live_profile {

/// Fails with `invalid_argument`, and names the field but not what is in it, for a text that is longer than
/// `bytes_max` or contains a control character.
[[nodiscard]] levada::result<void> check_plain_text(std::string_view field, std::string_view text,
                                                    std::size_t bytes_max);

}  // namespace live_profile
