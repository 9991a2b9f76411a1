#pragma once

/// @file
/// The file `control` in a store's directory: a Unix socket at which the owner listens, where the host wants
/// it to.

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>

#include "storage/unique_fd.hpp"

#include <levada/error.hpp>

namespace levada::storage {

/// Its name.
inline constexpr const char* control_file_name = "control";

/// Whoever is at the other end of a connection, as it was when it connected.
struct peer_process {
  pid_t pid = 0;
  uid_t user = 0;
};

/// The socket of the store in a directory, at which the process listens that owns it. Move-only. Names of any
/// length will do.
class control_file {
 public:
  /// Makes it, with mode 0600 from the beginning, and listens; nothing waits on its descriptor. Fails with
  /// what the system reports: so with `io_error` where something else has the name.
  [[nodiscard]] static result<control_file> listen(const std::filesystem::path& directory);

  [[nodiscard]] int get() const noexcept { return socket_.get(); }
  /// Takes its name away, so that nobody comes any more.
  void remove() noexcept;

 private:
  control_file(unique_fd directory, unique_fd socket) noexcept
      : directory_{std::move(directory)}, socket_{std::move(socket)} {}
  unique_fd directory_;
  unique_fd socket_;
};

/// Takes away what an owner that died has left. For the owner. What is no socket stays.
void remove_stale_control(const std::filesystem::path& directory) noexcept;

/// Connects to the owner; nothing where none listens. What is done with the connection fails with EAGAIN when
/// it takes longer than `patience`.
[[nodiscard]] result<std::optional<unique_fd>> connect_to_control(const std::filesystem::path& directory,
                                                                  std::chrono::seconds patience);

/// Who has connected.
[[nodiscard]] std::optional<peer_process> peer_of(int connection) noexcept;

}  // namespace levada::storage
