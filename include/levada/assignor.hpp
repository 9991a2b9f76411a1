#pragma once

/// @file
/// Who of a consumer group reads which partition: Kafka's four ways, and your own.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <levada/export.hpp>
#include <levada/types.hpp>

namespace levada {

/// A member of a consumer group, as an assignor sees it.
struct assignor_member {
  std::string id;
  /// The topics that it reads; no name twice.
  std::vector<std::string> topics;
  /// What it owns now, sorted. No partition has two owners.
  std::vector<topic_partition> owned = {};
};

/// A topic that some member reads.
struct assignor_topic {
  std::string name;
  std::uint32_t partitions = 1;
};

/// Decides who reads what. Called with a lock held: it must not call the bus, nor take long.
class LEVADA_EXPORT assignor {
 public:
  virtual ~assignor();

  /// As members name it; members of one group must all use assignors of the same name.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// What each member shall own: the i-th element belongs to `members[i]`. Members are sorted by id, topics
  /// by name. Every partition of a topic that somebody reads must go to exactly one member that reads the
  /// topic, and every other partition to none; what breaks this rule fails the member's `join` or `poll` with
  /// `errc::invalid_argument`, and the assignment stays as it was. Must depend on nothing but its arguments.
  [[nodiscard]] virtual std::vector<std::vector<topic_partition>> assign(
      std::span<const assignor_member> members, std::span<const assignor_topic> topics) const = 0;
  /// Whether members keep working on what they keep while others give something up (Kafka's cooperative
  /// protocol). Otherwise every change takes all partitions from all members first (its eager protocol).
  [[nodiscard]] virtual bool cooperative() const noexcept { return true; }

 protected:
  assignor() = default;
  assignor(const assignor&) = default;
  assignor& operator=(const assignor&) = default;
};

/// Kafka's RangeAssignor: of each topic by itself, consecutive partitions to members by id; the first members
/// get one more where it does not come out even. Partitions of the same number of equally large topics, read
/// by the same members, go together. Eager.
[[nodiscard]] LEVADA_EXPORT std::shared_ptr<const assignor> range_assignor();
/// Kafka's RoundRobinAssignor: all partitions of all topics in order, dealt to members by id; who does not
/// read a topic is passed over. Eager.
[[nodiscard]] LEVADA_EXPORT std::shared_ptr<const assignor> round_robin_assignor();
/// Kafka's StickyAssignor: as balanced as subscriptions permit, and among such assignments one that moves few
/// partitions; balance comes first. Where all members read the same topics, their numbers of partitions
/// differ by at most one and no partition moves that need not. Eager.
[[nodiscard]] LEVADA_EXPORT std::shared_ptr<const assignor> sticky_assignor();
/// Kafka's CooperativeStickyAssignor: the same assignment, by the cooperative protocol. The default of
/// levada's groups.
[[nodiscard]] LEVADA_EXPORT std::shared_ptr<const assignor> cooperative_sticky_assignor();

}  // namespace levada
