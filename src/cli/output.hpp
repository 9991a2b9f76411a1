#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <levada/error.hpp>

namespace levada::cli {

/// Buffered standard output. The first failure sticks: later writes do nothing, and `flush` and `state`
/// report it. When the reader of a pipe has gone, the process ends as SIGPIPE ends it, also where that signal
/// is ignored. Does not flush on destruction. Not safe to share between threads.
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
  [[nodiscard]] result<void> flush();
  /// The first failure, if there was one.
  [[nodiscard]] result<void> state() const;
  /// Ends the process as SIGPIPE does if the output is a pipe that nobody can read any more. For programs
  /// that wait long between two writes.
  void end_without_reader() const;

 private:
  static constexpr std::size_t capacity = std::size_t{128} << 10;

  void write_slowly(std::string_view bytes);
  void hand_over(std::string_view bytes);

  std::unique_ptr<char[]> buffer_;
  std::size_t used_ = 0;
  int failure_ = 0;  // errno of the first write that failed
};

}  // namespace levada::cli
