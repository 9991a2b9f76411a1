#include "cli/standard_streams.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "cli/text.hpp"

namespace levada::cli {

void occupy_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // Opened the wrong way round, so that using it fails. The lowest free number, hence `fd`, is what open
    // gives.
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
      throw std::system_error{errno, std::generic_category(), "open /dev/null"};
    }
  }
}

void report(std::string_view text) noexcept {
  try {
    const std::string line = fmt::format("levada: {}\n", printable(text));
    // Where even this fails, nobody is left to tell.
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
  } catch (...) {
    constexpr std::string_view line = "levada: out of memory\n";
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
  }
}

}  // namespace levada::cli
