#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace levada::test {

/// How a program ended, and what it said on standard output and standard error, mixed as it came.
struct ending {
  /// The exit status, or 128 and the number of the signal that ended it.
  int status = -1;
  std::string said;
};

/// A program that runs with an empty standard input. Killed on destruction if it still runs.
class program {
 public:
  explicit program(std::vector<std::string> words);
  ~program();
  program(const program&) = delete;
  program& operator=(const program&) = delete;

  /// Waits until it has said that.
  void wait_for(const std::string& text);
  void signal(int number) const;
  ending wait();

 private:
  /// Takes in some of what it says. False at the end.
  bool read();

  pid_t pid_ = -1;
  int output_ = -1;
  std::string said_;
};

/// Runs a program to its end.
ending run(std::vector<std::string> words);

}  // namespace levada::test
