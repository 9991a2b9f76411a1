#include <support/child_process.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>

#include <sys/wait.h>
#include <unistd.h>

namespace levada::test {
namespace {

int go_fd = -1;  // in the child

}  // namespace

child_process::child_process(const std::function<int(const std::function<void(const std::string&)>&)>& body) {
  int up[2];
  int down[2];
  if (::pipe(up) != 0 || ::pipe(down) != 0) throw std::system_error{errno, std::generic_category(), "pipe"};
  std::fflush(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
  if (pid_ == 0) {
    ::close(up[0]);
    ::close(down[1]);
    go_fd = down[0];
    int code = 70;
    try {
      code = body([&](const std::string& line) {
        const std::string text = line + "\n";
        if (::write(up[1], text.data(), text.size()) < 0) std::_Exit(71);
      });
    } catch (const std::exception& e) {
      std::fprintf(stderr, "child: %s\n", e.what());
    }
    std::fflush(nullptr);
    ::_exit(code);  // not through the parent's destructors
  }
  ::close(up[1]);
  ::close(down[0]);
  from_child_ = up[0];
  to_child_ = down[1];
}

child_process::~child_process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    wait();
  }
  ::close(from_child_);
  ::close(to_child_);
}

std::string child_process::read_line() {
  std::string line;
  for (char c = 0; ::read(from_child_, &c, 1) == 1 && c != '\n';) line.push_back(c);
  return line;
}

void child_process::go() {
  if (::write(to_child_, "g", 1) != 1)
    throw std::system_error{errno, std::generic_category(), "write to child"};
}

void child_process::wait_for_go() {
  char c = 0;
  if (::read(go_fd, &c, 1) < 0) std::_Exit(72);
}

void child_process::kill(int signal_number) {
  ::kill(pid_, signal_number);
}

int child_process::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace levada::test
