#include "cli/output.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace levada::cli {
namespace {

[[noreturn]] void die_of_sigpipe() {
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t pipe_signal;
  ::sigemptyset(&pipe_signal);
  ::sigaddset(&pipe_signal, SIGPIPE);
  ::sigprocmask(SIG_UNBLOCK, &pipe_signal, nullptr);
  ::raise(SIGPIPE);
  std::_Exit(128 + SIGPIPE);
}

}  // namespace

output::output() : buffer_{std::make_unique_for_overwrite<char[]>(capacity)} {}

result<void> output::flush() {
  hand_over({buffer_.get(), used_});
  used_ = 0;
  return state();
}

result<void> output::state() const {
  if (failure_ == 0) return {};
  return error{
      failure_ == ENOSPC || failure_ == EDQUOT || failure_ == EFBIG ? errc::disk_full : errc::io_error,
      fmt::format("write to standard output: {}", std::generic_category().message(failure_))};
}

void output::end_without_reader() const {
  pollfd out{STDOUT_FILENO, 0, 0};
  if (::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0) die_of_sigpipe();
}

void output::write_slowly(std::string_view bytes) {
  hand_over({buffer_.get(), used_});
  used_ = 0;
  if (bytes.size() > capacity) return hand_over(bytes);
  write(bytes);
}

void output::hand_over(std::string_view bytes) {
  while (!bytes.empty() && failure_ == 0) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EPIPE) {
      die_of_sigpipe();
    } else if (errno == EAGAIN) {
      // Somebody who shares the output has made it non-blocking.
      pollfd out{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&out, 1, -1);
    } else if (errno != EINTR) {
      failure_ = errno;
    }
  }
}

}  // namespace levada::cli
