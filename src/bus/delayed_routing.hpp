#pragma once

/// @file
/// Who routes messages that were published with a delay, once it is over.

#include <cstdint>

#include "bus/alarm.hpp"
#include "bus/failure_notice.hpp"

#include <levada/error.hpp>

namespace levada {

class core;

/// Looks at the schedule when its first message is due, and routes what is, in slices, without anybody
/// waiting for it. Memory holds none of them. Safe to share.
class delayed_routing {
 public:
  explicit delayed_routing(core& owner) noexcept : owner_{owner} {}

  /// Once the store is open.
  [[nodiscard]] result<void> start();
  /// After a commit: something will be due then, by the time of the bus.
  void expect(std::int64_t due);

 private:
  class delivery;
  void look();

  core& owner_;
  alarm next_look_;
  failure_notice failures_;
};

}  // namespace levada
