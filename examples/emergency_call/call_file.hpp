#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <common/failure.hpp>

#include "call.hpp"

namespace emergency {

/// A line of a file of calls is not a call. The text names all three.
class malformed_line : public example::failure {
 public:
  malformed_line(std::filesystem::path file, std::size_t number, std::string reason);

  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
  /// Counted from 1.
  [[nodiscard]] std::size_t number() const noexcept { return number_; }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  std::filesystem::path file_;
  std::size_t number_;
  std::string reason_;
};

/// Reads the first `calls_max` calls of a CSV file without a header; lines end with LF or CRLF. Calls are
/// numbered from 1. Throws `malformed_line`, or `failure` when the file cannot be read or holds no calls.
[[nodiscard]] std::vector<call> read_calls(const std::filesystem::path& file, std::size_t calls_max);

}  // namespace emergency
