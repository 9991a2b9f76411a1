#pragma once

#include <filesystem>
#include <string_view>

#include <levada/error.hpp>

namespace levada::storage {

/// The error for a failed LMDB call: `operation` is a phrase such as "open main environment of '/srv/bus'".
/// Accepts LMDB's own codes and errno values.
[[nodiscard]] error lmdb_error(int code, std::string_view operation);

/// The error for a failed system call on `path`.
[[nodiscard]] error system_error(int error_number, std::string_view operation,
                                 const std::filesystem::path& path);

}  // namespace levada::storage
