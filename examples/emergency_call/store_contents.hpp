#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <levada/inspect.hpp>
#include <levada/types.hpp>

#include "call.hpp"

namespace emergency {

/// A record about a call, as read back.
struct stored_record {
  call_id call = 0;
  /// The key of the caller's line, under which it was published.
  std::string line;
  std::string value;
  levada::partition_id partition;
};

/// What stands in a store after the host has ended: the other half of the evidence, beside the witness's.
struct store_contents {
  // In the order in which they were committed.
  std::vector<stored_record> alerts;
  std::vector<stored_record> acceptances;
  /// The exchange's log: alerts as they were handed over.
  std::vector<stored_record> handed;
  /// Alerts that the notifier's group has not committed.
  std::uint64_t alerts_to_do = 0;
  std::uint64_t queues = 0;
  levada::check_report check;
};

/// Reads the host's store in `directory`, as another process does that neither owns nor changes it. Throws
/// `levada::exception`, or `failure` for a record of another form.
[[nodiscard]] store_contents read_back(const std::filesystem::path& directory);

}  // namespace emergency
