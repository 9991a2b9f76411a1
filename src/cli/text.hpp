#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace levada::cli {

/// Whether the bytes are well-formed UTF-8.
[[nodiscard]] bool is_utf8(std::string_view bytes) noexcept;

/// RFC 4648's base64, padded.
[[nodiscard]] std::string to_base64(std::string_view bytes);

/// The text as it may be shown on a terminal: control characters and bytes that are not UTF-8 become `\xNN`.
[[nodiscard]] std::string printable(std::string_view text);

/// A number of bytes in the largest of the units GiB, MiB, KiB and B that divides it: "64MiB".
[[nodiscard]] std::string to_size(std::uint64_t bytes);

/// About as many bytes, in the largest unit of which there is one: "1.5 GiB", "700 B".
[[nodiscard]] std::string about_size(std::uint64_t bytes);

/// How many characters a well-formed UTF-8 text has.
[[nodiscard]] std::size_t character_count(std::string_view text) noexcept;

}  // namespace levada::cli
