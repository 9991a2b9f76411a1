#pragma once

/// @file
/// A file as its bytes, to look at them and to change them behind the back of whoever wrote it. Throws
/// std::runtime_error where that cannot be done.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace levada::test {

[[nodiscard]] std::string read_file(const std::filesystem::path& file);

/// Makes it, or replaces all that is in it.
void write_file(const std::filesystem::path& file, std::string_view bytes);

/// Overwrites a part in place.
void patch_file(const std::filesystem::path& file, std::size_t at, std::string_view bytes);

/// Changes the first byte of `text` wherever it stands, at least once: pages of a store that are not in use
/// may hold older copies.
void spoil_text(const std::filesystem::path& file, std::string_view text);

}  // namespace levada::test
