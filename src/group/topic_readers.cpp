#include "group/topic_readers.hpp"

#include <string>
#include <string_view>
#include <unordered_map>

namespace levada::group {

std::vector<std::vector<std::uint32_t>> topic_readers(std::span<const assignor_member> members,
                                                      std::span<const assignor_topic> topics) {
  std::unordered_map<std::string_view, std::uint32_t> places;
  for (std::uint32_t t = 0; t < topics.size(); ++t) places.emplace(topics[t].name, t);

  std::vector<std::vector<std::uint32_t>> readers(topics.size());
  const std::vector<std::string>* known = nullptr;
  std::vector<std::uint32_t> read;
  for (std::uint32_t m = 0; m < members.size(); ++m) {
    // Members mostly read the same topics, and comparing names costs less than looking them up.
    if (known == nullptr || *known != members[m].topics) {
      known = &members[m].topics;
      read.clear();
      for (const auto& name : *known) {
        const auto found = places.find(name);
        if (found != places.end()) read.push_back(found->second);
      }
    }
    for (const std::uint32_t t : read) readers[t].push_back(m);
  }
  return readers;
}

}  // namespace levada::group
