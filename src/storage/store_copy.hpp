#pragma once

/// @file
/// Copies a store while it is in use.

#include <filesystem>

#include "storage/main_environment.hpp"

#include <levada/backup.hpp>

namespace levada::storage {

/// Copies what a snapshot of `main` and its segments hold into a new store at `to`: see
/// `levada::backup_store`.
[[nodiscard]] result<backup_report> copy_store(const main_environment& main,
                                               const std::filesystem::path& segments,
                                               const std::filesystem::path& to,
                                               const backup_options& options);

}  // namespace levada::storage
