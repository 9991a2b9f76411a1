#include "levada_command.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <ostream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace levada::test {
namespace {

constexpr std::chrono::seconds patience{60};

/// Both ends of a pipe, closed in programs that are started later.
std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error{errno, std::generic_category(), "pipe"};
  return ends;
}

void close_if_open(int& fd) {
  if (fd >= 0) ::close(std::exchange(fd, -1));
}

/// Takes in what is there; closes at the end.
void read_some(int& fd, std::string& into) {
  std::array<char, 65536> buffer;
  const ssize_t n = ::read(fd, buffer.data(), buffer.size());
  if (n > 0) {
    into.append(buffer.data(), static_cast<std::size_t>(n));
  } else if (n == 0) {
    close_if_open(fd);
  }
}

}  // namespace

running_program::running_program(const launch& what) {
  // Everything that allocates comes before fork.
  std::vector<char*> words;
  for (const auto& word : what.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const auto in = make_pipe();
  const auto out = make_pipe();
  const auto err = make_pipe();
  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
  if (pid_ == 0) {
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ}) ::signal(s, SIG_DFL);
    const int to = what.output.empty() ? out[1] : ::open(what.output.c_str(), O_WRONLY);
    if (to < 0 || ::dup2(in[0], 0) < 0 || ::dup2(to, 1) < 0 || ::dup2(err[1], 2) < 0) ::_exit(120);
    if (what.before) what.before();
    ::execv(words[0], words.data());
    ::_exit(121);
  }
  in_ = in[1];
  out_ = out[0];
  err_ = err[0];
  for (const int fd : {in[0], out[1], err[1]}) ::close(fd);
  // Writing must never block, lest both sides wait for each other.
  ::fcntl(in_, F_SETFL, O_NONBLOCK);
}

running_program::~running_program() {
  for (int* const fd : {&in_, &out_, &err_}) close_if_open(*fd);
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool running_program::pump(interest in) {
  std::array<pollfd, 3> watched{{{to_write_.empty() ? -1 : in_, POLLOUT, 0},
                                 {in.read_output ? out_ : -1, POLLIN, 0},
                                 {err_, POLLIN, 0}}};
  const int ready = ::poll(watched.data(), watched.size(), in.milliseconds);
  if (ready < 0 && errno != EINTR) throw std::system_error{errno, std::generic_category(), "poll"};
  if (ready <= 0) return false;
  if (watched[0].revents != 0) {
    // A program that ends early closes its input; SIGPIPE is not for the test.
    struct sigaction ignore {};
    struct sigaction before {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, &before);
    const ssize_t n = ::write(in_, to_write_.data(), to_write_.size());
    const int failure = errno;
    ::sigaction(SIGPIPE, &before, nullptr);
    if (n >= 0) {
      to_write_.remove_prefix(static_cast<std::size_t>(n));
      written_ += static_cast<std::uint64_t>(n);
    } else if (failure == EPIPE) {
      to_write_ = {};
      takes_input_ = false;
    }
  }
  if (watched[1].revents != 0) read_some(out_, said_);
  if (watched[2].revents != 0) read_some(err_, complained_);
  return true;
}

void running_program::pump_until(const std::function<bool()>& done) {
  while (!done()) {
    if (!pump({})) throw std::runtime_error{"the program under test neither reads nor says anything"};
  }
}

void running_program::write(std::string_view text) {
  to_write_ = text;
  pump_until([this] { return to_write_.empty(); });
}

std::uint64_t running_program::bytes_read() const {
  int left = 0;
  if (::ioctl(in_, FIONREAD, &left) != 0) throw std::system_error{errno, std::generic_category(), "FIONREAD"};
  return written_ - static_cast<std::uint64_t>(left);
}

void running_program::close_input() {
  close_if_open(in_);
}

std::string running_program::read_line() {
  std::size_t scanned = 0;
  std::size_t end = std::string::npos;
  pump_until([&] {
    end = said_.find('\n', scanned);
    scanned = said_.size();
    return end != std::string::npos || out_ < 0;
  });
  std::string line = said_.substr(0, end);
  said_.erase(0, end == std::string::npos ? end : end + 1);
  return line;
}

std::size_t running_program::skip(std::size_t bytes) {
  pump_until([&] { return said_.size() >= bytes || out_ < 0; });
  return std::exchange(said_, {}).size();
}

bool running_program::says_something(int milliseconds) {
  if (!said_.empty()) return true;
  pump({.milliseconds = milliseconds});
  return !said_.empty();
}

bool running_program::sleeps() const {
  std::ifstream status{fmt::format("/proc/{}/status", pid_)};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("State:")) return line.find("S (sleeping)") != std::string::npos;
  }
  return false;
}

std::size_t running_program::wait_until_output_is_full() {
  const int capacity = ::fcntl(out_, F_GETPIPE_SZ);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (int filled = 0; filled < capacity || !sleeps(); ::ioctl(out_, FIONREAD, &filled)) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error{"the pipe is not filled"};
    std::this_thread::yield();
  }
  return static_cast<std::size_t>(capacity);
}

void running_program::close_output() {
  close_if_open(out_);
}

void running_program::signal(int number) const {
  ::kill(pid_, number);
}

void running_program::halt() {
  ::kill(pid_, SIGSTOP);
  int status = 0;
  while (::waitpid(pid_, &status, WUNTRACED) < 0 && errno == EINTR) {
  }
  if (WIFSTOPPED(status)) return;
  pid_ = -1;
  throw std::runtime_error{"the program under test has ended"};
}

std::uint64_t running_program::anonymous_memory() const {
  std::ifstream status{fmt::format("/proc/{}/status", pid_)};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoull(line.substr(8)) << 10;
  }
  return 0;
}

outcome running_program::wait_unread() {
  // Its standard error ends with it.
  while (err_ >= 0) {
    if (!pump({.read_output = false})) throw std::runtime_error{"the program under test does not end"};
  }
  return wait();
}

outcome running_program::finish() {
  close_input();
  return wait();
}

outcome running_program::wait() {
  pump_until([this] { return out_ < 0 && err_ < 0; });
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  const bool signaled = WIFSIGNALED(status);
  return {signaled ? 128 + WTERMSIG(status) : WEXITSTATUS(status), signaled, std::move(said_),
          std::move(complained_)};
}

void PrintTo(const outcome& o, std::ostream* out) {
  constexpr std::size_t shown = 300;
  *out << "status " << o.status << (o.signaled ? ", by a signal" : "") << ", standard error \"" << o.err
       << "\", standard output \"" << o.out.substr(0, shown) << (o.out.size() > shown ? "\"..." : "\"");
}

outcome run(const launch& what, std::string_view input) {
  running_program program{what};
  program.write(input);
  return program.finish();
}

launch levada_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), LEVADA_COMMAND);
  return {std::move(arguments)};
}

outcome levada(std::vector<std::string> arguments, std::string_view input) {
  return run(levada_command(std::move(arguments)), input);
}

}  // namespace levada::test
