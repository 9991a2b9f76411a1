#pragma once

/// @file
/// What another process is doing.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include "storage/unique_fd.hpp"

namespace levada::storage {

/// Whether a process is stopped: by a signal, or by a debugger. One that does not exist is not.
[[nodiscard]] inline bool is_stopped(int pid) {
  const unique_fd fd{::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) return false;
  std::array<char, 512> text{};
  const ssize_t n = ::read(fd.get(), text.data(), text.size());
  if (n <= 0) return false;
  // "pid (name) state": the name may hold anything, parentheses too.
  const std::string_view stat{text.data(), static_cast<std::size_t>(n)};
  const std::size_t end = stat.rfind(')');
  return end != std::string_view::npos && end + 2 < stat.size() &&
         (stat[end + 2] == 'T' || stat[end + 2] == 't');
}

}  // namespace levada::storage
