#pragma once

#include <fmt/format.h>

#include <string_view>

#include <levada/error.hpp>

namespace levada {

/// The same error, with what was to be done before its message.
[[nodiscard]] inline error with_operation(std::string_view operation, const error& e) {
  return {e.code(), fmt::format("{}: {}", operation, e.message())};
}

}  // namespace levada
