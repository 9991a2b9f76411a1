#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bus/core.hpp"

#include <levada/types.hpp>

namespace levada {

/// An offset to be committed.
struct offset_entry {
  topic_partition where;
  std::uint32_t log = 0;
  std::uint64_t next = 0;
  std::string metadata = {};
  /// Of a position: where just that is stored, it stays as it is, with its metadata and its time.
  bool unless_stored = false;
};

/// Offsets on their way to the store, for the member that wants to know what has become of them.
struct offsets_under_way {
  explicit offsets_under_way(std::vector<offset_entry> what) : entries{std::move(what)} {}

  void end(bool committed) noexcept { now = committed ? state::stored : state::failed; }

  enum class state : unsigned { under_way, stored, failed };
  const std::vector<offset_entry> entries;
  std::uint64_t order = 0;  // in which the group's commits are executed; set before they end
  std::atomic<state> now = state::under_way;
};

/// A member of a group, and not the next one of the same id; nobody where the id is empty.
struct member_identity {
  std::string id = {};
  group::group_state::held_records held = nullptr;

  [[nodiscard]] bool is_in(const group::group_state& group) const { return group.has(id, held); }
};

/// Whether a member owns the partitions now; or, where `member` is nobody, whether the group has no members,
/// who alone may commit then. Precondition: the group's mutex is held, and this is the committing thread.
[[nodiscard]] result<void> check_offsets(core& owner, const group_slot& group, const member_identity& member,
                                         const std::vector<offset_entry>& entries);
/// Sees what was written before in the same commit.
[[nodiscard]] result<void> write_offsets(commit_scope& scope, const group_slot& group,
                                         const std::vector<offset_entry>& entries);

/// Stores offsets of one group, if the member owns the partitions at the time of the commit. Whoever has it
/// committed says how it has ended.
class offset_intent : public intent {
 public:
  offset_intent(std::shared_ptr<group_slot> group, member_identity member,
                std::shared_ptr<offsets_under_way> what)
      : group_{std::move(group)}, member_{std::move(member)}, what_{std::move(what)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope&) noexcept override {}

 private:
  const std::shared_ptr<group_slot> group_;
  const member_identity member_;
  const std::shared_ptr<offsets_under_way> what_;
};

}  // namespace levada
