#include "cli/signals.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace levada::cli {
namespace {

// What a signal handler can reach has to stand here. The pipe is not closed again, since a handler may run
// late.
volatile sig_atomic_t received = 0;
std::array<int, 2> wake_pipe{-1, -1};

constexpr std::array stopping{SIGINT, SIGTERM, SIGHUP};

void receive(int signal_number) {
  const int saved = errno;
  received = signal_number;
  const char byte = 0;
  // A pipe that is full is readable already.
  [[maybe_unused]] const ssize_t n = ::write(wake_pipe[1], &byte, 1);
  errno = saved;
}

/// A system call that began just after the signal came knows nothing of it: it is interrupted too, a second
/// later.
void receive_and_repeat(int signal_number) {
  receive(signal_number);
  ::alarm(1);
}

void repeat(int) {
  ::alarm(1);
}

void handle(int signal_number, void (*handler)(int), int flags) noexcept {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal_number, &action, nullptr);
}

bool is_ignored(int signal_number) noexcept {
  struct sigaction action {};
  return ::sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void ignore_write_signals() noexcept {
  for (const int s : {SIGPIPE, SIGXFSZ}) handle(s, SIG_IGN, 0);
}

void die_of(int signal_number) noexcept {
  handle(signal_number, SIG_DFL, 0);
  sigset_t alone;
  ::sigemptyset(&alone);
  ::sigaddset(&alone, signal_number);
  ::sigprocmask(SIG_UNBLOCK, &alone, nullptr);
  ::raise(signal_number);
  std::_Exit(status_after(signal_number));
}

stop_signals::stop_signals(waiting_call what) {
  if (wake_pipe[0] < 0 && ::pipe2(wake_pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw std::system_error{errno, std::generic_category(), "make a pipe for signals"};
  }
  const bool restarted = what == waiting_call::restarted;
  if (!restarted) handle(SIGALRM, repeat, 0);
  for (const int s : stopping) {
    if (is_ignored(s)) continue;
    handle(s, restarted ? receive : receive_and_repeat,
           static_cast<int>(SA_RESETHAND) | (restarted ? SA_RESTART : 0));
  }
}

stop_signals::~stop_signals() {
  for (const int s : stopping) {
    if (!is_ignored(s)) handle(s, SIG_DFL, 0);
  }
  ::alarm(0);
}

bool stop_signals::requested() noexcept {
  return received != 0;
}

int stop_signals::descriptor() const noexcept {
  return wake_pipe[0];
}

int stop_signals::exit_status() const noexcept {
  return status_after(received);
}

}  // namespace levada::cli
