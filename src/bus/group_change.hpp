#pragma once

/// @file
/// Members come, go, and hand partitions over.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bus/core.hpp"
#include "bus/offset_intent.hpp"

namespace levada {

/// A change of who is in a group and who owns what, with the offsets that a member leaves behind: one commit.
///
/// A commit of its own: what it stores is rehearsed on a copy of the group, and done after the commit. As
/// all changes of groups, and all commits of offsets, are made by the committing thread, none can come in
/// between; so an offset is committed before a handover or refused after it. But where the commit cannot be
/// made, `do_without` changes memory all the same, which is what counts: the copy on the disk is for
/// listings.
class group_change : public intent {
 public:
  using change_function = std::function<result<void>(group::group_state&)>;

  /// `change` is called once for the copy and once for the group, with its mutex held; `offsets` are those of
  /// `member`. Offsets of topics that are gone by then are left out.
  group_change(std::shared_ptr<group_slot> group, change_function change, member_identity member = {},
               std::vector<offset_entry> offsets = {})
      : group_{std::move(group)},
        change_{std::move(change)},
        member_{std::move(member)},
        offsets_{std::move(offsets)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope& scope) noexcept override { static_cast<void>(do_without(scope.owner())); }
  [[nodiscard]] bool alone() const noexcept override { return true; }

  /// Whether it was the group that refused it, not the disk.
  [[nodiscard]] bool refused() const noexcept { return refused_; }
  [[nodiscard]] bool has_offsets() const noexcept { return !offsets_.empty(); }
  /// Changes memory alone, and wakes the members. Fails where the group refuses it.
  result<void> do_without(const core& owner) noexcept;

  /// Makes the change, and waits for it. Fails where it is refused, or where offsets could not be stored;
  /// nothing has changed then.
  [[nodiscard]] static result<void> make(core& owner, const std::string& operation, group_change& change);

 private:
  const std::shared_ptr<group_slot> group_;
  const change_function change_;
  const member_identity member_;
  const std::vector<offset_entry> offsets_;
  bool refused_ = false;
};

}  // namespace levada
