#include "cli/output.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>

#include "cli/signals.hpp"

namespace levada::cli {
namespace {

// How long a program that is to end waits for its reader; in milliseconds, as poll(2) takes it.
constexpr int patience = 250;

/// Waits until something can be written; `timeout` as poll(2) takes it. False when it has passed.
bool wait_for_room(int timeout) {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&out, 1, timeout) != 0;
}

}  // namespace

output::output() : buffer_{std::make_unique_for_overwrite<char[]>(capacity)} {}

void output::flush() {
  hand_over({buffer_.get(), used_});
  used_ = 0;
}

void output::look_for_reader() {
  pollfd out{STDOUT_FILENO, 0, 0};
  if (failure_ == 0 && ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0) failure_ = EPIPE;
}

result<int> output::finish(int status) {
  flush();
  if (failure_ == 0 || failure_ == EINTR) return status;
  if (failure_ == EPIPE) return status_after(SIGPIPE);
  const bool full = failure_ == ENOSPC || failure_ == EDQUOT || failure_ == EFBIG;
  return error{full ? errc::disk_full : errc::io_error,
               fmt::format("write to standard output: {}", std::generic_category().message(failure_))};
}

void output::write_slowly(std::string_view bytes) {
  flush();
  if (bytes.size() > capacity) return hand_over(bytes);
  write(bytes);
}

void output::hand_over(std::string_view bytes) {
  while (!bytes.empty() && failure_ == 0) {
    std::size_t piece = bytes.size();
    if (stop_signals::requested()) {
      if (!wait_for_room(patience)) {
        failure_ = EINTR;
        return;
      }
      // A pipe that has any room takes that much without waiting.
      piece = std::min<std::size_t>(piece, PIPE_BUF);
    }
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), piece);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      // Somebody who shares the output has made it non-blocking.
      wait_for_room(-1);
    } else if (errno != EINTR) {
      failure_ = errno;
    }
  }
}

}  // namespace levada::cli
