#include "bus/group_change.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <iterator>
#include <mutex>

#include "bus/with_operation.hpp"

namespace levada {
namespace {

/// A group as listings tell it.
storage::group_entry entry_of(core& owner, const group_slot& group, const group::group_state& state) {
  storage::group_entry entry{group.id, group.name, state.generation(), {}};
  for (const auto& m : state.members()) {
    storage::group_entry::member member{m.id, {}};
    for (const auto& where : m.owned) {
      const auto topic = owner.find_topic(where.topic);
      if (topic) member.assignment.push_back({topic->state.id(), where.partition.value()});
    }
    entry.members.push_back(std::move(member));
  }
  return entry;
}

/// What is told of a group.
struct group_account {
  group_account() = default;
  explicit group_account(const group::group_state& state)
      : generation{state.generation()},
        members{state.size()},
        fenced{state.fenced()},
        duplicates{state.possible_duplicates()},
        last_fenced{state.last_fenced()} {}

  std::uint32_t generation = 0;
  std::size_t members = 0;
  std::uint64_t fenced = 0;
  std::uint64_t duplicates = 0;
  std::vector<std::string> last_fenced;
};

void tell_change(spdlog::logger& log, const std::string& group, const group_account& before,
                 const group_account& after) {
  if (after.fenced != before.fenced) {
    log.warn(
        "levada: fenced in group '{}', as partitions were not given up in time: {}; {} records may be read "
        "again",
        group, fmt::join(after.last_fenced, ", "), after.duplicates - before.duplicates);
  }
  if (after.generation != before.generation) {
    log.debug("levada: group '{}' has {} members, generation {}", group, after.members, after.generation);
  }
}

result<void> group_is_gone(const group_slot& group) {
  return error{errc::unknown_group, fmt::format("group '{}' is deleted", group.name)};
}

}  // namespace

result<void> group_change::execute(commit_scope& scope) {
  std::vector<offset_entry> offsets;
  std::copy_if(offsets_.begin(), offsets_.end(), std::back_inserter(offsets),
               [&](const offset_entry& e) { return scope.owner().find_topic(e.log) != nullptr; });
  storage::group_entry entry;
  {
    const std::lock_guard guard{group_->mutex};
    refused_ = true;
    if (group_->deleted) return group_is_gone(*group_);
    if (!offsets.empty()) {
      if (auto may = check_offsets(scope.owner(), *group_, member_, offsets); !may) return may;
    }
    group::group_state next = group_->state;
    if (auto done = change_(next); !done) return done;
    refused_ = false;
    entry = entry_of(scope.owner(), *group_, next);
  }
  if (auto stored = write_offsets(scope, *group_, offsets); !stored) return stored;
  return scope.written(storage::put(scope.txn(), scope.tables(), entry));
}

result<void> group_change::do_without(const core& owner) noexcept {
  result<void> done;
  group_account before;
  group_account after;
  {
    const std::lock_guard guard{group_->mutex};
    before = group_account{group_->state};
    done = group_->deleted ? group_is_gone(*group_) : change_(group_->state);
    after = group_account{group_->state};
  }
  group_->members.signal();
  if (owner.logger() != nullptr) tell_change(*owner.logger(), group_->name, before, after);
  return done;
}

result<void> group_change::make(core& owner, const std::string& operation, group_change& change) {
  auto done = owner.run(operation, change);
  if (done || change.refused() || change.has_offsets()) return done;
  done = change.do_without(owner);
  if (done) return {};
  return with_operation(operation, done.error());
}

}  // namespace levada
