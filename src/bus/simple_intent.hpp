#pragma once

/// @file
/// Intents that are not worth a class of their own.

#include <utility>

#include "bus/commit_scope.hpp"
#include "bus/group_commit.hpp"

namespace levada {

/// An intent made of two functions; a commit of its own.
template <class Execute, class Applied>
class simple_intent final : public intent {
 public:
  simple_intent(Execute execute, Applied applied)
      : execute_{std::move(execute)}, applied_{std::move(applied)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return execute_(scope); }
  void applied(commit_scope& scope) noexcept override { applied_(scope); }
  [[nodiscard]] bool alone() const noexcept override { return true; }

 private:
  Execute execute_;
  Applied applied_;
};
inline constexpr auto nothing_to_apply = [](commit_scope&) noexcept {};

}  // namespace levada
