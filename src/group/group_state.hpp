#pragma once

/// @file
/// Membership of one consumer group, as a state machine without I/O.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <levada/assignor.hpp>
#include <levada/error.hpp>
#include <levada/types.hpp>

namespace levada::group {

/// Who owns which partition, and who shall. A change of membership computes a new target assignment at once;
/// ownership follows: a member gives up what it shall no longer own at its next `sync`, and takes what nobody
/// owns any more. So a partition never has two owners. Not safe to share; the owner locks.
class group_state {
 public:
  using time = std::chrono::nanoseconds;

  /// Adds a member under an id that no member has. `topic_sizes` names the partitions of its topics.
  /// Fails with `inequivalent` where the group's members use an assignor of another name, and with
  /// `invalid_argument` where the assignor breaks its rule; nothing has changed then.
  [[nodiscard]] result<void> join(const std::string& member, std::vector<std::string> topics,
                                  time rebalance_timeout,
                                  const std::map<std::string, std::uint32_t>& topic_sizes,
                                  std::shared_ptr<const assignor> by, time now);
  /// Removes a member; what it owned is free at once. Unknown members are no error.
  void leave(const std::string& member, time now);

  /// Takes a topic that is gone out of all subscriptions; who owned partitions of it owns them no more.
  void forget_topic(const std::string& topic, time now);

  struct sync_result {
    /// Whether the member is (still) in the group.
    bool member = false;
    /// Where the assignor broke its rule since somebody left or a topic went, how; targets are as before.
    result<void> broken = {};
    std::vector<topic_partition> revoked;
    std::vector<topic_partition> acquired;
  };
  /// The member has stopped work on what it shall give up, and begins on what it gets. Members whose time to
  /// do so is over are removed first.
  sync_result sync(const std::string& member, time now);

  [[nodiscard]] bool has(const std::string& member) const { return members_.contains(member); }
  [[nodiscard]] bool owns(const std::string& member, const topic_partition& where) const;
  /// Whether `sync` of this member would change something.
  [[nodiscard]] bool pending(const std::string& member) const;
  /// When the first member that must give something up is overdue; `time::max()` when there is none.
  [[nodiscard]] time next_deadline() const;
  [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }

  struct member_view {
    std::string id;
    std::vector<topic_partition> owned;
  };
  /// By member id.
  [[nodiscard]] std::vector<member_view> members() const;
  /// Continues the count of an earlier process.
  void set_generation(std::uint32_t generation) noexcept { generation_ = generation; }

 private:
  struct member_state {
    std::vector<std::string> topics;
    std::vector<topic_partition> target;  // sorted
    std::vector<topic_partition> owned;   // sorted
    time rebalance_timeout{};
    time deadline = time::max();
    /// By an assignor that is not cooperative: it has yet to give up whatever it owns.
    bool gives_up_all = false;
  };

  [[nodiscard]] result<void> rebalance(time now);
  [[nodiscard]] bool someone_gives_up_all() const;
  void fence_overdue(time now);

  std::map<std::string, member_state> members_;
  std::map<topic_partition, std::string> owners_;
  std::map<std::string, std::uint32_t> topic_sizes_;
  std::uint32_t generation_ = 0;
  std::shared_ptr<const assignor> assignor_;  // of the members, if there are any
  result<void> broken_;
};

}  // namespace levada::group
