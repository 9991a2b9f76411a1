#include "host_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <common/failure.hpp>

namespace emergency {
namespace {

constexpr auto this_program = "/proc/self/exe";
constexpr int no_timeout = -1;

void close_end(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

[[noreturn]] void refuse(const char* operation, int error) {
  throw example::failure{fmt::format("cannot start the host: {}: {}", operation, std::strerror(error))};
}

pid_t spawn(std::vector<std::string> arguments, int input, int output) {
  arguments.insert(arguments.begin(), "emergency_call");
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (auto& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  // A process group of its own: Ctrl-C is for us, and we let the host finish.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, this_program, &actions, &attributes, argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) refuse("posix_spawn", error);
  return pid;
}

}  // namespace

host_process::host_process(std::vector<std::string> arguments) {
  // A socket towards it, because writing to one can do without SIGPIPE; a pipe back.
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) != 0) refuse("socketpair", errno);
  if (::pipe2(out.data(), O_CLOEXEC) != 0) refuse("pipe2", errno);
  input_ = in[0];
  output_ = out[0];
  pid_ = spawn(std::move(arguments), in[1], out[1]);
  ::close(in[1]);
  ::close(out[1]);
}

host_process::~host_process() {
  if (pid_ > 0) {
    kill();
    ::waitpid(pid_, nullptr, 0);
  }
  close_end(input_);
  close_end(output_);
}

void host_process::send(std::string_view line) {
  const std::string text = std::string{line} + '\n';
  for (std::string_view rest = text; !rest.empty();) {
    const auto sent = ::send(input_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return;
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void host_process::end_input() {
  close_end(input_);
}

std::optional<std::vector<std::string>> host_process::read(std::optional<std::chrono::milliseconds> timeout) {
  std::vector<std::string> lines;
  pollfd waiting{output_, POLLIN, 0};
  if (::poll(&waiting, 1, timeout ? static_cast<int>(timeout->count()) : no_timeout) <= 0) return lines;
  std::array<char, 65536> buffer;
  const auto got = ::read(output_, buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return lines;
  if (got <= 0) return std::nullopt;  // a line without its end was cut off by the kill
  incomplete_.append(buffer.data(), static_cast<std::size_t>(got));
  std::size_t begin = 0;
  for (std::size_t end; (end = incomplete_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(incomplete_.substr(begin, end - begin));
  }
  incomplete_.erase(0, begin);
  return lines;
}

void host_process::kill() {
  killed_ = true;
  ::kill(pid_, SIGKILL);
}

void host_process::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) throw host_failed{};
  if (WIFSIGNALED(status) && !killed_) {
    throw example::failure{fmt::format("the host was ended by signal {}", WTERMSIG(status))};
  }
}

}  // namespace emergency
