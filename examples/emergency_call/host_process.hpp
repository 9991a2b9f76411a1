#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace emergency {

/// This very program, run as a child process with its standard input and output connected to us. One thread
/// at a time. Destroying it kills it.
class host_process {
 public:
  /// Throws `failure` when it cannot be started.
  explicit host_process(std::vector<std::string> arguments);
  ~host_process();
  host_process(const host_process&) = delete;
  host_process& operator=(const host_process&) = delete;

  /// Writes a line to its standard input. Does nothing when it has ended; `read` will tell.
  void send(std::string_view line);
  /// Ends its standard input.
  void end_input();
  /// Waits for output, until `timeout` when there is one, and returns the complete lines that have come:
  /// none when there was a time-out, nothing when its output has ended.
  std::optional<std::vector<std::string>> read(std::optional<std::chrono::milliseconds> timeout);
  /// SIGKILL: it gets no chance to do anything. What it has written can still be read.
  void kill();
  /// Waits for its end. Throws `failure` unless it ended by `kill`, or by itself with exit code 0.
  void wait();

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  bool killed_ = false;
  std::string incomplete_;
};

/// The host has ended with an exit code other than 0, and has said why on standard error.
struct host_failed {};

}  // namespace emergency
