#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace levada::test {

/// How a program ended, and what it said.
struct outcome {
  /// The exit status, or 128 and the number of the signal that ended it.
  int status = -1;
  /// Whether a signal ended it.
  bool signaled = false;
  std::string out;
  std::string err;
};

/// What a program is started with.
struct launch {
  /// The first one is the program's file.
  std::vector<std::string> words;
  /// Standard output, where it is not a pipe to the test.
  std::filesystem::path output = {};
  /// Runs in the child before the program; only what is allowed between fork and exec.
  std::function<void()> before = {};
};

/// A program that runs, with pipes on its standard streams. Signals have their default actions, whatever the
/// test was started with. Every wait ends after a minute, by an exception. Killed on destruction. Not safe to
/// share between threads.
class running_program {
 public:
  explicit running_program(const launch& what);
  ~running_program();
  running_program(const running_program&) = delete;
  running_program& operator=(const running_program&) = delete;

  /// Writes to its standard input, and takes in meanwhile what it says.
  void write(std::string_view text);
  /// Whether it had its input still open at the last `write`.
  [[nodiscard]] bool takes_input() const noexcept { return takes_input_; }
  /// How many bytes of its input it has read. Only while the input is open.
  [[nodiscard]] std::uint64_t bytes_read() const;
  void close_input();
  /// The next line of its standard output without the newline, or what is left at the end.
  [[nodiscard]] std::string read_line();
  /// Takes in at least so many bytes of its output if they come before its end, and forgets them. Returns how
  /// many there were.
  std::size_t skip(std::size_t bytes);
  /// Whether a byte of output came within that time.
  [[nodiscard]] bool says_something(int milliseconds);
  /// Waits until it has filled the pipe of its output, which nobody reads, and sleeps. Returns how many bytes
  /// are in the pipe.
  std::size_t wait_until_output_is_full();
  /// Goes away as a reader.
  void close_output();
  void signal(int number) const;
  /// Halts it, until SIGCONT; whatever it waited for is broken off then.
  void halt();
  /// How much memory it has now that is its own, without pages of files, in bytes.
  [[nodiscard]] std::uint64_t anonymous_memory() const;
  /// Takes in the rest of what it says, and waits for its end. Its input stays open.
  outcome wait();
  /// The same, but reads its output only when it has ended.
  outcome wait_unread();
  /// Closes its input and waits.
  outcome finish();

 private:
  [[nodiscard]] bool sleeps() const;

  struct interest {
    bool read_output = true;
    int milliseconds = 60'000;
  };
  /// Moves bytes once, as far as they go without waiting. False when nothing came to pass in time.
  bool pump(interest in);
  /// Moves bytes until `done`.
  void pump_until(const std::function<bool()>& done);

  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::string_view to_write_;
  bool takes_input_ = true;
  std::uint64_t written_ = 0;
  std::string said_;
  std::string complained_;
};

/// So that a failed expectation prints what happened.
void PrintTo(const outcome& o, std::ostream* out);

/// Runs a program to its end.
outcome run(const launch& what, std::string_view input = {});

/// What starts the command under test: `levada_command({"topics", "--dir", d})`.
launch levada_command(std::vector<std::string> arguments);

/// Runs the command under test to its end.
outcome levada(std::vector<std::string> arguments, std::string_view input = {});

}  // namespace levada::test
