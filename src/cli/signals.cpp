#include "cli/signals.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace levada::cli {
namespace {

// What a signal handler can reach has to stand here. The pipe is not closed again, since a handler may run
// late.
volatile sig_atomic_t received = 0;
std::array<int, 2> wake_pipe{-1, -1};

constexpr std::array stopping{SIGINT, SIGTERM, SIGHUP};

// Restarting keeps the system calls of a commit whole; whoever waits asks for the signal by itself.
constexpr int once_with_restart = static_cast<int>(SA_RESTART | SA_RESETHAND);

void receive(int signal_number) {
  const int saved = errno;
  received = signal_number;
  const char byte = 0;
  // A pipe that is full is readable already.
  [[maybe_unused]] const ssize_t n = ::write(wake_pipe[1], &byte, 1);
  errno = saved;
}

/// Sets what happens on the signal, unless it is ignored.
void handle(int signal_number, void (*handler)(int), int flags) {
  struct sigaction action {};
  if (::sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal_number, &action, nullptr);
}

}  // namespace

stop_signals::stop_signals() {
  if (wake_pipe[0] < 0 && ::pipe2(wake_pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw std::system_error{errno, std::generic_category(), "make a pipe for signals"};
  }
  for (const int s : stopping) handle(s, receive, once_with_restart);
}

stop_signals::~stop_signals() {
  for (const int s : stopping) handle(s, SIG_DFL, 0);
}

bool stop_signals::requested() const noexcept {
  return received != 0;
}

int stop_signals::descriptor() const noexcept {
  return wake_pipe[0];
}

int stop_signals::exit_status() const noexcept {
  return 128 + received;
}

}  // namespace levada::cli
