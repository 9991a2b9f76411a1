#pragma once

#include <cstddef>
#include <deque>
#include <unordered_map>

#include "line.hpp"
#include "switchboard.hpp"

namespace emergency {

/// Who comes and who goes. Every area has a desk from its first call on, and is never without: the next shift
/// joins before the last one leaves. Caretakers of a building and relatives behind one line come after a call
/// from there, and go when others have come.
class roster {
 public:
  explicit roster(switchboard& board) : board_{board} {}

  /// Makes sure that somebody will get this line's alert.
  void before_alert(const line& l);
  void after_alert(const line& l);

 private:
  void invite(const scope& lines);

  switchboard& board_;
  std::unordered_map<std::string, std::size_t> alerts_of_area_;
  std::size_t alerts_ = 0;
  std::deque<scope> guests_;  // those who are not desks, in the order in which they came
};

}  // namespace emergency
