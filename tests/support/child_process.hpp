#pragma once

#include <functional>
#include <string>

#include <sys/types.h>

namespace levada::test {

/// A forked child that runs a function and reports through a pipe. Move-only; ended by its own process id.
class child_process {
 public:
  /// `body(say)` runs in the child; what it says arrives at `read_line` here. Its result is the exit code.
  explicit child_process(const std::function<int(const std::function<void(const std::string&)>& say)>& body);
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// The next line that the child said, or an empty one when it has ended.
  [[nodiscard]] std::string read_line();
  /// Lets the child go on from `wait_for_go`.
  void go();
  /// In the child: blocks until the parent says `go`, or is gone.
  static void wait_for_go();
  void kill(int signal_number);
  /// The exit code, or 128 + signal.
  int wait();

 private:
  pid_t pid_ = -1;
  int from_child_ = -1;
  int to_child_ = -1;
};

}  // namespace levada::test
