#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <levada/error.hpp>

namespace levada::cli {

/// Buffered standard output. The first failure sticks: later writes do nothing, and `finish` tells. Once a
/// signal has asked the program to end, a reader that does not read is waited for only briefly. Does not
/// flush on destruction. Not safe to share between threads.
class output {
 public:
  output();

  void write(std::string_view bytes) {
    if (bytes.size() > capacity - used_) return write_slowly(bytes);
    bytes.copy(buffer_.get() + used_, bytes.size());
    used_ += bytes.size();
  }
  void write(char c) { write({&c, 1}); }

  /// Hands everything over to the operating system.
  void flush();
  /// Fails if the output is a pipe that nobody can read any more. For programs that wait long between two
  /// writes.
  void look_for_reader();
  /// Whether nothing that is written arrives any more.
  [[nodiscard]] bool failed() const noexcept { return failure_ != 0; }

  /// Flushes, and returns what the program is to end with: `status`, or that of SIGPIPE where nobody reads
  /// any more, or why writing failed.
  [[nodiscard]] result<int> finish(int status);

 private:
  static constexpr std::size_t capacity = std::size_t{128} << 10;

  void write_slowly(std::string_view bytes);
  void hand_over(std::string_view bytes);

  std::unique_ptr<char[]> buffer_;
  std::size_t used_ = 0;
  int failure_ = 0;  // errno of the first write that failed; EINTR when a signal ended the waiting
};

}  // namespace levada::cli
