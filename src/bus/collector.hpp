#pragma once

#include <levada/error.hpp>

namespace levada {

/// Somebody who collects before he submits, and is told when the bus closes.
class collector {
 public:
  virtual ~collector() = default;
  /// Submits what has been collected.
  virtual void hand_over() = 0;
  /// The bus takes nothing more: answers what is still collected, and who comes later. Must not enter the
  /// bus.
  virtual void end(const error& why) noexcept = 0;

 protected:
  collector() = default;
  collector(const collector&) = default;
  collector& operator=(const collector&) = default;
};

}  // namespace levada
