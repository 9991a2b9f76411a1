#pragma once

/// @file
/// Where a job goes on, by its last checkpoint.

#include <cstdint>
#include <optional>
#include <vector>

#include "log/log_state.hpp"
#include "storage/catalog.hpp"
#include "storage/job_file.hpp"

namespace levada {

/// The next offset of each partition of a log: behind what the job has read, unless that has been lost since
/// by going back to a checkpoint. Nothing where the checkpoint does not know the log.
[[nodiscard]] std::optional<std::vector<std::uint64_t>> position_of(
    const storage::job_checkpoint& job, const log::log_state& log,
    const std::vector<storage::epoch_entry>& epochs);

}  // namespace levada
