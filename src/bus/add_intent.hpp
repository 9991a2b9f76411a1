#pragma once

/// @file
/// Intents that change what exists: each commits alone.

#include <utility>

#include "bus/core.hpp"

namespace levada {

class catalog_intent : public intent {
 public:
  [[nodiscard]] bool alone() const noexcept override { return true; }
};

/// Stores an entry with a new id, if it is not there already.
template <class Entry>
class add_intent : public catalog_intent {
 public:
  explicit add_intent(Entry entry) : entry_{std::move(entry)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    exists_ = false;
    if (auto checked = check(scope.owner()); !checked) return checked;
    if (exists_) return {};
    auto id = scope.owner().take_id(scope);
    if (!id) return id.error();
    entry_.id = *id;
    if (auto completed = complete(scope); !completed) return completed;
    return scope.written(storage::put(scope.txn(), scope.tables(), entry_));
  }
  void applied(commit_scope& scope) noexcept override {
    if (!exists_) scope.owner().add(entry_);
  }
  [[nodiscard]] const Entry& entry() const noexcept { return entry_; }

 protected:
  /// Looks at what exists now: sets `exists_`, or refuses.
  [[nodiscard]] virtual result<void> check(core& owner) = 0;
  /// Fills in what is known only now.
  [[nodiscard]] virtual result<void> complete(commit_scope&) { return {}; }

  Entry entry_;
  bool exists_ = false;
};

}  // namespace levada
