#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <levada/bus.hpp>

#include "credentials.hpp"

namespace live_profile {

/// What was found of secrets where they must not be.
struct leak_report {
  std::uint64_t records = 0;
  /// A sentence each, without the secret.
  std::vector<std::string> leaks;
};

/// Looks for secrets in all that has ever been published: in every part of every record of every topic and
/// exchange that is still there. What queues hold refers to these records, so they are searched with them.
/// Throws `levada::exception`.
[[nodiscard]] leak_report find_leaks(const levada::bus& bus, const std::vector<secret>& secrets);

}  // namespace live_profile
