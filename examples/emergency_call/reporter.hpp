#pragma once

#include <mutex>
#include <string_view>

#include "event.hpp"

namespace emergency {

/// Tells events on standard output, one a line, each handed to the operating system at once: what was told
/// is known outside even when the process is killed the moment after. Safe to use from several threads.
class reporter {
 public:
  void tell(const event& e);

 private:
  std::mutex mutex_;
};

}  // namespace emergency
