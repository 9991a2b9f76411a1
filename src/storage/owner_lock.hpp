#pragma once

/// @file
/// Who owns a store: the file LOCK.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>

#include "storage/unique_fd.hpp"

#include <levada/error.hpp>

namespace levada::storage {

/// The name of the lock file; a directory is a store if and only if it holds one.
inline constexpr const char* lock_file_name = "LOCK";

/// The right to have a store open in this process, as owner or attached: one at a time. LMDB must not open
/// one file twice in a process, and closing any descriptor of LOCK would drop the owner's lock. Kept by
/// device and inode of LOCK, so that symbolic links and bind mounts do not fool it. Move-only.
class process_claim {
 public:
  enum class purpose { own, attach };
  /// Fails with `store_in_use` where this process has the store open already.
  [[nodiscard]] static result<process_claim> make(const std::filesystem::path& directory, purpose what);

  process_claim(process_claim&& other) noexcept
      : device_{other.device_}, inode_{other.inode_}, pid_{std::exchange(other.pid_, 0)} {}
  process_claim& operator=(process_claim&&) = delete;
  ~process_claim();

 private:
  process_claim(unsigned long long device, unsigned long long inode, pid_t pid) noexcept
      : device_{device}, inode_{inode}, pid_{pid} {}
  unsigned long long device_;
  unsigned long long inode_;
  pid_t pid_;  // whose it is; 0 after a move. A copy that a child inherits gives nothing up.
};

/// Exclusive ownership of a store by this process, held until destruction: a POSIX record lock on LOCK, which
/// the system drops when the process dies and a child made by `fork()` does not inherit. Move-only.
class owner_lock {
 public:
  /// Fails with `store_in_use`, naming the owner's pid, `unsupported_format`, `not_a_store`, or what the
  /// system reports. Writes pid and boot id into the file, for people.
  [[nodiscard]] static result<owner_lock> acquire(const std::filesystem::path& directory);
  /// The transaction of the main environment after which the store was closed in good order, if the last
  /// owner did.
  [[nodiscard]] std::optional<std::uint64_t> clean_transaction() const noexcept { return clean_; }
  /// Notes that the store is closed in good order after that transaction. Where it cannot, the store is as
  /// one whose owner has died: the next opening examines more.
  void note_clean(std::uint64_t transaction) noexcept;
  /// Writes a new LOCK into a directory that nobody else knows yet.
  [[nodiscard]] static result<void> create(const std::filesystem::path& directory);

 private:
  owner_lock(process_claim claim, unique_fd fd, std::optional<std::uint64_t> clean) noexcept
      : claim_{std::move(claim)}, fd_{std::move(fd)}, clean_{clean} {}
  process_claim claim_;  // given up last: after the descriptor is closed
  unique_fd fd_;
  std::optional<std::uint64_t> clean_;
};

/// The process that owns the store in `directory`, or nothing. Safe to ask anywhere, the owner included.
[[nodiscard]] std::optional<int> owner_pid(const std::filesystem::path& directory);

/// Tells a forked child from the process that made it.
class fork_guard {
 public:
  [[nodiscard]] static result<fork_guard> make();
  fork_guard(fork_guard&& other) noexcept : page_{std::exchange(other.page_, nullptr)} {}
  fork_guard& operator=(fork_guard&&) = delete;
  ~fork_guard();

  /// Whether this is another process than the one that made the guard. One read of memory: the page is marked
  /// MADV_WIPEONFORK, so a child sees zero.
  [[nodiscard]] bool forked() const noexcept { return *page_ == 0; }

 private:
  explicit fork_guard(volatile int* page) noexcept : page_{page} {}
  volatile int* page_ = nullptr;
};

}  // namespace levada::storage
