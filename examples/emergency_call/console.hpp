#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "local_time.hpp"

namespace emergency {

/// How far a run is.
struct progress {
  std::uint64_t calls = 0;
  std::uint64_t acknowledged = 0;
  std::size_t subscribers = 0;
  /// The calls' clock.
  local_time clock;
  std::chrono::duration<double> elapsed{0};
};

/// The progress as one line that fits into 80 columns, without an end.
[[nodiscard]] std::string to_text(const progress& p);

/// Where the demo speaks: lines on standard output, and progress on standard error. There it is a line that
/// is written over again and again when that is a terminal, and otherwise a line at each tenth of the way.
class console {
 public:
  console();
  /// Removes the progress line.
  ~console();
  console(const console&) = delete;
  console& operator=(const console&) = delete;

  void line(std::string_view text);
  /// A line that opens a section.
  void title(std::string_view text);
  void show(const progress& p);

 private:
  void erase();

  const bool overwrites_;
  const bool bold_;
  bool shown_ = false;  // a progress line stands at the cursor
  std::chrono::steady_clock::time_point shown_at_;
  std::uint64_t tenths_ = 0;
};

}  // namespace emergency
