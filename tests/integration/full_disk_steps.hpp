#pragma once

/// @file
/// All that needs room on a disk, step by step.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <span>

#include <support/scarce_disk.hpp>

#include <levada/levada.hpp>

#include "witnessed_bus.hpp"

namespace levada::test {

/// What is done while there is no room, in words that name the test.
struct full_disk_step {
  const char* name;
  /// By how much the room differs from one try to the next.
  std::uint64_t stride;
  witnessed_bus::configure_function configure;
  void (*prepare)(witnessed_bus&, scarce_disk&);
  /// Can be done again after it has been refused.
  std::function<result<void>(witnessed_bus&, std::size_t& progress)> act;
  /// The same where files are limited, which takes many more tries, each with the flushes of a disk; where
  /// it is 0, four times the stride.
  std::uint64_t limited_stride = 0;
  /// Whether it can be done without any more room, as it gives back some.
  bool gives_back = false;
};

void PrintTo(const full_disk_step& s, std::ostream* out);

[[nodiscard]] std::span<const full_disk_step> full_disk_steps();

}  // namespace levada::test
