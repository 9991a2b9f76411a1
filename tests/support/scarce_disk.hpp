#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

namespace levada::test {

/// A place where room can be made scarce, and given back. Ends with the process that made it: for child
/// processes only. Move-only.
class scarce_disk {
 public:
  virtual ~scarce_disk() = default;
  scarce_disk() = default;
  scarce_disk(const scarce_disk&) = delete;
  scarce_disk& operator=(const scarce_disk&) = delete;

  /// A file system of `size` bytes in memory, mounted over the empty directory `at` in a namespace of this
  /// process: room means bytes that are not taken, and what does not fit is refused with ENOSPC, or written
  /// in part. Null where the system permits no such thing. Precondition: the process has one thread.
  [[nodiscard]] static std::unique_ptr<scarce_disk> mount(const std::filesystem::path& at,
                                                          std::uint64_t size);
  /// The directory `at` as it is, under a limit on the size of each file: room means the largest size, and
  /// what lies beyond is refused with EFBIG.
  [[nodiscard]] static std::unique_ptr<scarce_disk> limit_files(const std::filesystem::path& at);

  /// Where things are to be kept.
  [[nodiscard]] virtual std::filesystem::path path() const = 0;
  /// Leaves room for so many bytes.
  virtual void leave(std::uint64_t bytes) = 0;
  /// Makes room again for everything.
  virtual void give_back() = 0;
};

}  // namespace levada::test
