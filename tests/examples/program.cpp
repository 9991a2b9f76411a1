#include "program.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace levada::test {

program::program(std::vector<std::string> words) {
  std::array<int, 2> out{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) throw std::system_error{errno, std::generic_category(), "pipe2"};
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDERR_FILENO);
  const int error = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  output_ = out[0];
  if (error != 0) throw std::system_error{error, std::generic_category(), words[0]};
}

program::~program() {
  if (pid_ > 0) {
    signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(output_);
}

void program::wait_for(const std::string& text) {
  while (said_.find(text) == std::string::npos) {
    if (!read()) throw std::runtime_error{"the program ended without saying '" + text + "', but: " + said_};
  }
}

void program::signal(int number) const {
  ::kill(pid_, number);
}

ending program::wait() {
  while (read()) {
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), std::move(said_)};
}

bool program::read() {
  std::array<char, 4096> buffer;
  const auto got = ::read(output_, buffer.data(), buffer.size());
  if (got <= 0) return got < 0 && errno == EINTR;
  said_.append(buffer.data(), static_cast<std::size_t>(got));
  return true;
}

ending run(std::vector<std::string> words) {
  return program{std::move(words)}.wait();
}

}  // namespace levada::test
