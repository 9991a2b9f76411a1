#pragma once

/// @file
/// Reading, writing and syncing files with plain system calls, in full or with the reason why not.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include <levada/error.hpp>

#include "storage/errors.hpp"
#include "storage/unique_fd.hpp"

namespace levada::storage {

/// Reads exactly `size` bytes, or says why not: an errno value, or -1 for the end of the file.
[[nodiscard]] inline int read_at(int fd, std::uint64_t offset, std::byte* to, std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t n = ::pread(fd, to, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return -1;
    to += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return 0;
}

/// Writes exactly `size` bytes, or says why not: an errno value. A part may have been written then.
[[nodiscard]] inline int write_at(int fd, std::uint64_t offset, const std::byte* from,
                                  std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t n = ::pwrite(fd, from, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ENOSPC;
    from += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return 0;
}

/// Makes the names in a directory as durable as the files that they stand for.
[[nodiscard]] inline result<void> sync_directory(const std::filesystem::path& directory) {
  const unique_fd fd{::open(directory.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY)};
  if (!fd) return system_error(errno, "open", directory);
  if (::fsync(fd.get()) != 0) return system_error(errno, "sync", directory);
  return {};
}

}  // namespace levada::storage
