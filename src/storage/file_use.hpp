#pragma once

/// @file
/// How much room files take.

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include <levada/error.hpp>

namespace levada::storage {

struct file_use {
  std::uint64_t bytes = 0;                           ///< its length
  std::uint64_t on_disk = 0;                         ///< what the file system has set aside for it
  std::pair<std::uint64_t, std::uint64_t> identity;  ///< device and inode
};

/// Nothing where it cannot be told.
[[nodiscard]] std::optional<file_use> use_of(int fd) noexcept;

struct named_file {
  std::filesystem::path path;
  file_use use;
};

/// The files below a directory, as far down as it goes. Opens none of them: to close a file that is locked
/// would unlock it. Those that vanish meanwhile are left out, as are links.
[[nodiscard]] result<std::vector<named_file>> files_below(const std::filesystem::path& directory);

}  // namespace levada::storage
