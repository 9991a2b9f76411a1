#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include <levada/error.hpp>

namespace levada::cli {

/// Cuts what a file descriptor delivers into lines, within one buffer of fixed size. Lines may hold any
/// bytes. Waiting for input is left to the caller: `read` reads once. Not safe to share between threads.
class line_reader {
 public:
  /// `line_bytes_max`: the longest line accepted, its newline not counted. Memory of that size is reserved,
  /// and used only as far as lines need it. Does not own `fd`.
  line_reader(int fd, std::size_t line_bytes_max);

  /// The next line that is here in whole, without its newline, valid until the next `read`; nothing when more
  /// has to be read first. What stands behind the last newline is a line too, once the input has ended.
  [[nodiscard]] std::optional<std::string_view> take();
  /// Reads once, what is there or up to 256 KiB. Precondition: `take` has just returned nothing. Fails with
  /// `record_too_large` when a line is longer than allowed, and with `io_error`.
  [[nodiscard]] result<void> read();

  /// Whether the input has ended. Lines may be left to take.
  [[nodiscard]] bool at_end() const noexcept { return at_end_; }
  /// The number of the line taken last; the first is 1.
  [[nodiscard]] std::uint64_t line_number() const noexcept { return line_number_; }

 private:
  int fd_;
  std::size_t line_bytes_max_;
  std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0;    // of what has not been taken
  std::size_t scanned_ = 0;  // no newline between begin_ and here
  std::size_t end_ = 0;      // of what has been read
  std::uint64_t line_number_ = 0;
  bool at_end_ = false;
};

}  // namespace levada::cli
