#include "storage/file_use.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "storage/errors.hpp"

namespace levada::storage {
namespace {

/// The unit of `st_blocks`, whatever the file system's own blocks are.
constexpr std::uint64_t block_bytes = 512;

file_use use_of(const struct stat& info) noexcept {
  return {static_cast<std::uint64_t>(info.st_size),
          static_cast<std::uint64_t>(info.st_blocks) * block_bytes,
          {info.st_dev, info.st_ino}};
}

}  // namespace

std::optional<file_use> use_of(int fd) noexcept {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return std::nullopt;
  return use_of(info);
}

result<std::vector<named_file>> files_below(const std::filesystem::path& directory) {
  std::vector<named_file> found;
  std::error_code failure;
  std::filesystem::recursive_directory_iterator files{directory, failure};
  for (; !failure && files != std::filesystem::recursive_directory_iterator{}; files.increment(failure)) {
    struct stat info {};
    if (::lstat(files->path().c_str(), &info) != 0) {
      if (errno == ENOENT) continue;
      return system_error(errno, "examine", files->path());
    }
    if (S_ISREG(info.st_mode)) found.push_back({files->path(), use_of(info)});
  }
  if (failure) return system_error(failure.value(), "list", directory);
  return found;
}

}  // namespace levada::storage
