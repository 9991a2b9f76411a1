#pragma once

#include <string_view>
#include <vector>

#include <levada/bus.hpp>

namespace cache_sync {

/// A place in the log of a topic: an offset for each of its partitions, in their order.
using position_mark = std::vector<levada::offset>;

/// The end of a topic's log as of now: who has come that far has seen everything that was published before
/// the call. Fails with `unknown_topic`, and as `bus::topics`.
[[nodiscard]] levada::result<position_mark> end_of_log(const levada::bus& bus, std::string_view topic);

/// Whether someone at `position` has seen everything before `mark`.
[[nodiscard]] bool reaches(const position_mark& position, const position_mark& mark);

}  // namespace cache_sync
