#include "support/disk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace levada::bench {
namespace {

[[noreturn]] void fail(const char* operation, const std::filesystem::path& file) {
  throw std::system_error{errno, std::generic_category(), fmt::format("{} '{}'", operation, file.string())};
}

/// In bytes; of a file that has vanished none.
std::uint64_t blocks_of(const std::filesystem::path& path) {
  constexpr std::uint64_t block_bytes = 512;
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return 0;
  return static_cast<std::uint64_t>(file.st_blocks) * block_bytes;
}

/// What the kernel could give to new pages without taking them from programs.
std::uint64_t memory_available() {
  constexpr std::string_view wanted = "MemAvailable:";
  std::ifstream info{"/proc/meminfo"};
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with(wanted)) return std::stoull(line.substr(wanted.size())) * 1024;
  }
  throw std::runtime_error{"/proc/meminfo has no MemAvailable"};
}

}  // namespace

std::uint64_t disk_use(const std::filesystem::path& directory) {
  std::uint64_t bytes = 0;
  std::error_code gone;
  for (std::filesystem::recursive_directory_iterator at{directory, gone}, end; !gone && at != end;
       at.increment(gone)) {
    bytes += blocks_of(at->path());
  }
  if (gone) throw std::system_error{gone, fmt::format("list '{}'", directory.string())};
  return bytes;
}

std::uint64_t disk_use(const std::vector<std::filesystem::path>& files) {
  std::uint64_t bytes = 0;
  for (const auto& file : files) bytes += blocks_of(file);
  return bytes;
}

void require_space(const std::filesystem::path& directory, std::uint64_t bytes) {
  const std::uint64_t available = std::filesystem::space(directory).available;
  if (available >= bytes) return;
  throw std::runtime_error{fmt::format("needs {:.1f} GB on the disk, which has {:.1f} GB to spare",
                                       static_cast<double>(bytes) / 1e9,
                                       static_cast<double>(available) / 1e9)};
}

std::string lack_of_memory(std::uint64_t bytes) {
  struct statfs info {};
  if (::statfs(memory_directory.c_str(), &info) != 0 ||
      static_cast<unsigned long>(info.f_type) != TMPFS_MAGIC) {
    return fmt::format("there is no tmpfs at {}", memory_directory.string());
  }
  // What tmpfs has room for may be more than what memory has.
  const std::uint64_t room = std::uint64_t{info.f_bavail} * static_cast<std::uint64_t>(info.f_bsize);
  const std::uint64_t available = std::min(room, memory_available());
  if (available >= bytes) return {};
  return fmt::format("needs {:.1f} GB of memory at {}, where {:.1f} GB are to spare",
                     static_cast<double>(bytes) / 1e9, memory_directory.string(),
                     static_cast<double>(available) / 1e9);
}

raw_file::raw_file(const std::filesystem::path& file, std::size_t chunk_bytes)
    : fd_{::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)}, chunk_(chunk_bytes) {
  if (fd_ < 0) fail("make", file);
  // Bytes that no disk can leave out or squeeze.
  std::uint32_t state = 1;
  for (std::byte& b : chunk_) {
    state = state * 1'664'525 + 1'013'904'223;
    b = static_cast<std::byte>(state >> 24);
  }
}

raw_file::~raw_file() {
  ::close(fd_);
}

void raw_file::append(std::size_t chunks) {
  for (std::size_t i = 0; i < chunks; ++i) {
    for (std::size_t done = 0; done < chunk_.size();) {
      const ssize_t written = ::write(fd_, chunk_.data() + done, chunk_.size() - done);
      if (written < 0) fail("write", "raw file");
      done += static_cast<std::size_t>(written);
    }
    if (::fdatasync(fd_) != 0) fail("flush", "raw file");
  }
}

std::uint64_t read_through(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("open", file);
  const struct closer {
    int fd;
    ~closer() { ::close(fd); }
  } closing{fd};
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  std::uint64_t done = 0;
  for (;;) {
    const ssize_t bytes = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(done));
    if (bytes < 0) fail("read", file);
    if (bytes == 0) return done;
    done += static_cast<std::uint64_t>(bytes);
  }
}

}  // namespace levada::bench
