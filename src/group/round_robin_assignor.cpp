/// @file
/// The round-robin assignor, after the description of Kafka's
/// org.apache.kafka.clients.consumer.RoundRobinAssignor.

#include <levada/assignor.hpp>

#include <algorithm>

#include "group/topic_readers.hpp"

namespace levada {
namespace {

class round_robin final : public assignor {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "roundrobin"; }
  [[nodiscard]] bool cooperative() const noexcept override { return false; }

  [[nodiscard]] std::vector<std::vector<topic_partition>> assign(
      std::span<const assignor_member> members, std::span<const assignor_topic> topics) const override {
    std::vector<std::vector<topic_partition>> assignment(members.size());
    const auto readers = group::topic_readers(members, topics);
    std::uint32_t turn = 0;  // the member to ask first
    for (std::size_t t = 0; t < topics.size(); ++t) {
      if (readers[t].empty()) continue;
      auto next = std::lower_bound(readers[t].begin(), readers[t].end(), turn);
      for (std::uint32_t p = 0; p < topics[t].partitions; ++p) {
        if (next == readers[t].end()) next = readers[t].begin();
        assignment[*next].push_back({topics[t].name, partition_id{p}});
        turn = *next++ + 1;
      }
    }
    return assignment;
  }
};

}  // namespace

std::shared_ptr<const assignor> round_robin_assignor() {
  return std::make_shared<round_robin>();
}

}  // namespace levada
