#include "cli/line_reader.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace levada::cli {
namespace {

constexpr std::size_t read_bytes_max = std::size_t{256} << 10;

}  // namespace

// The newline needs a place too. Memory that no line has needed is never touched.
line_reader::line_reader(int fd, std::size_t line_bytes_max)
    : fd_{fd},
      line_bytes_max_{line_bytes_max},
      buffer_{std::make_unique_for_overwrite<char[]>(line_bytes_max + 1)} {}

std::optional<std::string_view> line_reader::take() {
  const char* const begin = buffer_.get() + begin_;
  const void* const newline = std::memchr(buffer_.get() + scanned_, '\n', end_ - scanned_);
  std::string_view line;
  if (newline != nullptr) {
    line = {begin, static_cast<std::size_t>(static_cast<const char*>(newline) - begin)};
    begin_ += line.size() + 1;
  } else if (at_end_ && begin_ < end_) {
    line = {begin, end_ - begin_};
    begin_ = end_;
  } else {
    scanned_ = end_;
    return std::nullopt;
  }
  scanned_ = begin_;
  ++line_number_;
  return line;
}

result<void> line_reader::read() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    scanned_ = end_;
  }
  if (end_ > line_bytes_max_) {
    return error{errc::record_too_large, fmt::format("read standard input: line {} is longer than {} bytes",
                                                     line_number_ + 1, line_bytes_max_)};
  }
  const std::size_t room = line_bytes_max_ + 1 - end_;
  const ssize_t n = ::read(fd_, buffer_.get() + end_, std::min(room, read_bytes_max));
  if (n < 0) {
    // Somebody else may have been faster where the input is shared, or have made it non-blocking.
    if (errno == EINTR || errno == EAGAIN) return {};
    return error{errc::io_error, fmt::format("read standard input after line {}: {}", line_number_,
                                             std::generic_category().message(errno))};
  }
  if (n == 0) at_end_ = true;
  end_ += static_cast<std::size_t>(n);
  return {};
}

}  // namespace levada::cli
