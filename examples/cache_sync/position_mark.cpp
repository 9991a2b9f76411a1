#include "position_mark.hpp"

#include <algorithm>
#include <functional>

#include <fmt/core.h>

namespace cache_sync {

levada::result<position_mark> end_of_log(const levada::bus& bus, std::string_view topic) {
  const auto topics = bus.topics();
  if (!topics) return topics.error();
  const auto found = std::find_if(topics->begin(), topics->end(),
                                  [&](const levada::topic_info& t) { return t.name == topic; });
  if (found == topics->end()) {
    return levada::error{levada::errc::unknown_topic, fmt::format("ask end of topic '{}': unknown", topic)};
  }
  position_mark end;
  for (const auto& p : found->partitions) end.push_back(p.end);
  return end;
}

bool reaches(const position_mark& position, const position_mark& mark) {
  return std::equal(position.begin(), position.end(), mark.begin(), mark.end(), std::greater_equal<>{});
}

}  // namespace cache_sync
