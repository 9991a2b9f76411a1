#pragma once

#include <string_view>

namespace levada::cli {

/// Makes sure that descriptors 0 to 2 are taken, so that no file of a store gets the number of a standard
/// stream that the caller has closed. Reading or writing one that was closed keeps failing. To be called
/// first.
void occupy_standard_streams();

/// Writes one line to standard error: "levada: " and the text, control characters made visible.
void report(std::string_view text) noexcept;

}  // namespace levada::cli
