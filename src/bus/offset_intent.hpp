#pragma once

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
[[nodiscard]] result<void> write_offsets(commit_scope& scope, const group_slot& group,
                                         const std::vector<offset_entry>& entries);

/// Stores offsets of one group, if the member owns the partitions at the time of the commit.
class offset_intent : public intent {
 public:
  offset_intent(std::shared_ptr<group_slot> group, member_identity member, std::vector<offset_entry> entries)
      : group_{std::move(group)}, member_{std::move(member)}, entries_{std::move(entries)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope&) noexcept override {}

 private:
  const std::shared_ptr<group_slot> group_;
  const member_identity member_;
  const std::vector<offset_entry> entries_;
};

}  // namespace levada
