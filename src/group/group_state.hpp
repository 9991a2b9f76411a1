#pragma once

/// @file
/// Membership of one consumer group, as a state machine without I/O.

#include <atomic>
#include <chrono>
#include <cstddef>
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
/// ownership follows: a member gives up what it shall no longer own, and in the same step that goes to who
/// shall own it, as does what nobody owns. So a partition never has two owners, and none stays without one
/// unless everybody has to give up everything first. Not safe to share; the owner locks. A copy is a
/// rehearsal: the same change does the same to both.
class group_state {
 public:
  using time = std::chrono::nanoseconds;
  using partitions = std::vector<topic_partition>;
  /// How many partitions topics have, by name.
  using topic_sizes = std::map<std::string, std::uint32_t>;
  /// How many records a member has polled and not committed, as it goes.
  using held_records = std::shared_ptr<const std::atomic<std::uint64_t>>;

  /// Adds a member. `sizes` names the partitions of its topics. Fails with `inequivalent` where the group's
  /// members use an assignor of another name, and with `invalid_argument` where the id is taken or the
  /// assignor breaks its rule; nothing has changed then.
  [[nodiscard]] result<void> join(const std::string& member, std::vector<std::string> topics,
                                  time rebalance_timeout, const topic_sizes& sizes,
                                  std::shared_ptr<const assignor> by, time now, held_records held = nullptr);
  /// Changes what a member reads. Fails with `fenced` where there is no such member, and as `join`.
  [[nodiscard]] result<void> subscribe(const std::string& member, std::vector<std::string> topics,
                                       const topic_sizes& sizes, time now);
  /// Removes a member; what it owned goes to others at once. Unknown members are no error.
  void leave(const std::string& member, time now);
  /// Removes the members whose time to give something up is over, and adds up what they held.
  void fence_overdue(time now);
  /// Hands over: of these partitions, those that the member owns go to who shall own them, which may be the
  /// member itself.
  void give_up(const std::string& member, const partitions& what, time now);
  /// Takes a topic that is gone out of all subscriptions; who owned partitions of it owns them no more.
  void forget_topic(const std::string& topic, time now);

  [[nodiscard]] bool empty() const noexcept { return members_.empty(); }
  [[nodiscard]] bool has(const std::string& member) const { return members_.contains(member); }
  /// Whether the member that joined with this account is in the group, and not another of the same id.
  [[nodiscard]] bool has(const std::string& member, const held_records& held) const;
  [[nodiscard]] bool owns(const std::string& member, const topic_partition& where) const;
  /// What a member owns, sorted; it may not know yet.
  [[nodiscard]] partitions owned_by(const std::string& member) const;
  /// What it must give up of that, sorted.
  [[nodiscard]] partitions owed_by(const std::string& member) const;
  /// When the first member that must give something up is overdue; `time::max()` when there is none.
  [[nodiscard]] time next_deadline() const;
  /// Where the assignor broke its rule since somebody left or a topic went, how; targets are as before.
  [[nodiscard]] const result<void>& broken() const noexcept { return broken_; }
  /// Differs whenever anything has changed.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }
  /// How many members it has.
  [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }
  /// How often partitions were assigned anew, in this process.
  [[nodiscard]] std::uint64_t rebalances() const noexcept { return generation_ - first_generation_; }
  /// How many members were fenced, and who, the last time that any were.
  [[nodiscard]] std::uint64_t fenced() const noexcept { return fenced_; }
  [[nodiscard]] const std::vector<std::string>& last_fenced() const noexcept { return last_fenced_; }
  /// Records that members held when they were fenced.
  [[nodiscard]] std::uint64_t possible_duplicates() const noexcept { return possible_duplicates_; }

  struct member_view {
    std::string id;
    partitions owned;
  };
  /// By member id.
  [[nodiscard]] std::vector<member_view> members() const;
  /// Continues the count of an earlier process.
  void set_generation(std::uint32_t generation) noexcept { generation_ = first_generation_ = generation; }

 private:
  struct member_state {
    std::vector<std::string> topics;
    partitions target;  // sorted
    partitions owned;   // sorted
    time rebalance_timeout{};
    time deadline = time::max();
    /// By an assignor that is not cooperative: it has yet to give up whatever it owns.
    bool gives_up_all = false;
    held_records held;
  };

  [[nodiscard]] static partitions owed(const member_state& m);
  [[nodiscard]] result<void> rebalance(time now);
  [[nodiscard]] bool someone_gives_up_all() const;
  void remove(const std::string& member, time now);
  /// What nobody owns goes to who shall own it.
  void grant();

  std::map<std::string, member_state> members_;
  std::map<topic_partition, std::string> owners_;
  topic_sizes topic_sizes_;
  std::uint32_t generation_ = 0;
  std::uint32_t first_generation_ = 0;  // of this process
  std::uint64_t version_ = 0;
  std::uint64_t fenced_ = 0;
  std::vector<std::string> last_fenced_;
  std::uint64_t possible_duplicates_ = 0;
  std::shared_ptr<const assignor> assignor_;  // of the members, if there are any
  result<void> broken_;
};

}  // namespace levada::group
