#pragma once

/// @file
/// The disk by itself: what it holds, what it has room for, how fast it is.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace levada::bench {

/// What all files below a directory take up on the disk, in bytes. Files that vanish meanwhile count nothing.
[[nodiscard]] std::uint64_t disk_use(const std::filesystem::path& directory);

/// The same of single files.
[[nodiscard]] std::uint64_t disk_use(const std::vector<std::filesystem::path>& files);

/// Throws std::runtime_error unless the disk of `directory` has `bytes` to spare.
void require_space(const std::filesystem::path& directory, std::uint64_t bytes);

/// Where stores are made that are to lie in memory.
inline const std::filesystem::path memory_directory = "/dev/shm";

/// Why `bytes` cannot lie in memory; empty where they can.
[[nodiscard]] std::string lack_of_memory(std::uint64_t bytes);

/// A plain file that grows by writes, each flushed: the disk's own rate. Nothing is allocated ahead. Throws
/// std::system_error.
class raw_file {
 public:
  /// Makes a new file. Every write takes `chunk_bytes` bytes.
  raw_file(const std::filesystem::path& file, std::size_t chunk_bytes);
  raw_file(const raw_file&) = delete;
  raw_file& operator=(const raw_file&) = delete;
  ~raw_file();

  /// Writes and flushes one chunk after another.
  void append(std::size_t chunks);

 private:
  int fd_;
  std::vector<std::byte> chunk_;
};

/// Reads a whole file by pread, a MiB at a time, and returns how many bytes. Throws std::system_error.
std::uint64_t read_through(const std::filesystem::path& file);

}  // namespace levada::bench
