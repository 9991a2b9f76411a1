/// @file
/// The range assignor, after the description of Kafka's org.apache.kafka.clients.consumer.RangeAssignor. That
/// the same members get the same numbers of equally large topics follows from dividing each topic alike;
/// racks, which Kafka 3.5 added, do not exist here.

#include <levada/assignor.hpp>

#include "group/topic_readers.hpp"

namespace levada {
namespace {

class range final : public assignor {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "range"; }
  [[nodiscard]] bool cooperative() const noexcept override { return false; }

  [[nodiscard]] std::vector<std::vector<topic_partition>> assign(
      std::span<const assignor_member> members, std::span<const assignor_topic> topics) const override {
    std::vector<std::vector<topic_partition>> assignment(members.size());
    const auto readers = group::topic_readers(members, topics);
    for (std::size_t t = 0; t < topics.size(); ++t) {
      if (readers[t].empty()) continue;
      const auto n = static_cast<std::uint32_t>(readers[t].size());
      const std::uint32_t share = topics[t].partitions / n;
      std::uint32_t one_more = topics[t].partitions % n;
      std::uint32_t next = 0;
      for (const std::uint32_t m : readers[t]) {
        std::uint32_t count = share;
        if (one_more > 0) {
          ++count;
          --one_more;
        }
        for (; count > 0; --count) assignment[m].push_back({topics[t].name, partition_id{next++}});
      }
    }
    return assignment;
  }
};

}  // namespace

std::shared_ptr<const assignor> range_assignor() {
  return std::make_shared<range>();
}

}  // namespace levada
