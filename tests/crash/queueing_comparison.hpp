#pragma once

#include <string>
#include <vector>

#include <crash/promises.hpp>
#include <crash/store_content.hpp>

#include <levada/levada.hpp>

namespace levada::crash {

/// A store with a history of queues: listings and logs, and all that is in queues. First what is ready, and
/// then, when the clock has moved by an hour, what was to come later; what has been received is not settled.
/// Throws `levada::exception` when a call fails, and `std::runtime_error` when queues do not come to rest.
[[nodiscard]] store_content read_queueing(bus& b, manual_clock& clock);

[[nodiscard]] queue_findings count_findings(const store_content& found);

/// Acks everything, also what comes later.
void drain_queues(bus& b, manual_clock& clock);

/// What does not hold of what is promised of queues, a sentence each, the first of them. `found` is of
/// `read_queueing`.
///
/// A message is looked at in each queue that it was routed to, with its dead letters from there. It must be
/// there exactly once, in the queue or in the grave, unless it was settled, purged or dropped, or went with
/// its queue; nowhere when that was confirmed; and in the grave only if there was reason to.
[[nodiscard]] std::vector<std::string> compare_queueing(const store_content& found, const promises& promised);

}  // namespace levada::crash
