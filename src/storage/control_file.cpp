#include "storage/control_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "storage/errors.hpp"

namespace levada::storage {
namespace {

/// How many may wait to be let in.
constexpr int backlog = 16;

result<unique_fd> open_directory(const std::filesystem::path& directory) {
  unique_fd fd{::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!fd) return system_error(errno, "open", directory);
  return fd;
}

/// An address has room for 107 bytes, a path may have more: it goes through the descriptor of the directory.
sockaddr_un address_in(const unique_fd& directory) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory.get(), control_file_name);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) noexcept {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

result<control_file> control_file::listen(const std::filesystem::path& directory) {
  auto place = open_directory(directory);
  if (!place) return place.error();
  const auto name = directory / control_file_name;
  unique_fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) return system_error(errno, "make socket", name);
  // On Linux the file gets the mode that the socket has before it has a name, less the process's umask.
  if (::fchmod(socket.get(), S_IRUSR | S_IWUSR) != 0) return system_error(errno, "set mode of", name);
  const sockaddr_un address = address_in(*place);
  if (::bind(socket.get(), generic(address), sizeof address) != 0)
    return system_error(errno, "make socket", name);
  control_file made{std::move(*place), std::move(socket)};
  if (::listen(made.get(), backlog) != 0) {
    const int why = errno;
    made.remove();
    return system_error(why, "listen at", name);
  }
  return made;
}

void control_file::remove() noexcept {
  static_cast<void>(::unlinkat(directory_.get(), control_file_name, 0));
}

void remove_stale_control(const std::filesystem::path& directory) noexcept {
  const unique_fd place{::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  struct stat info {};
  if (!place || ::fstatat(place.get(), control_file_name, &info, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (S_ISSOCK(info.st_mode)) static_cast<void>(::unlinkat(place.get(), control_file_name, 0));
}

result<std::optional<unique_fd>> connect_to_control(const std::filesystem::path& directory,
                                                    std::chrono::seconds patience) {
  const auto place = open_directory(directory);
  if (!place) return place.error();
  const auto name = directory / control_file_name;
  unique_fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!socket) return system_error(errno, "make socket to", name);
  const timeval limit{static_cast<time_t>(patience.count()), 0};
  for (const int direction : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (::setsockopt(socket.get(), SOL_SOCKET, direction, &limit, sizeof limit) != 0)
      return system_error(errno, "limit waiting for", name);
  }
  const sockaddr_un address = address_in(*place);
  int failed = 0;
  do {
    failed = ::connect(socket.get(), generic(address), sizeof address);
  } while (failed != 0 && errno == EINTR);
  if (failed == 0) return std::optional{std::move(socket)};
  if (errno == ENOENT || errno == ECONNREFUSED) return std::optional<unique_fd>{};
  return system_error(errno, "connect to", name);
}

std::optional<peer_process> peer_of(int connection) noexcept {
  struct ucred credentials {};
  socklen_t size = sizeof credentials;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return peer_process{credentials.pid, credentials.uid};
}

}  // namespace levada::storage
