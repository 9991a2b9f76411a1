#pragma once

/// @file
/// What goes together.

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>

#include "bus/core.hpp"

namespace levada {

/// Queues, exchanges and bindings that go in one commit: with a queue or an exchange its bindings, and with
/// the last binding from an auto-delete exchange that exchange. The committing thread alone; what exists must
/// not change between the calls.
class removal {
 public:
  explicit removal(const core& owner) noexcept : owner_{owner} {}

  void queue(std::uint32_t id);
  void exchange(std::uint32_t id);
  void binding(std::uint32_t id);
  [[nodiscard]] bool empty() const noexcept {
    return queues_.empty() && exchanges_.empty() && bindings_.empty();
  }

  [[nodiscard]] bool has_queue(std::uint32_t id) const { return queues_.contains(id); }

  /// Erases what is stored of them. Queues leave their entries, which are too many for one commit; exchanges
  /// leave their logs, until no queue refers to them.
  [[nodiscard]] result<void> erase(commit_scope& scope) const;
  /// After the commit.
  void apply(core& owner) const;

 private:
  const core& owner_;
  std::set<std::uint32_t> queues_;
  std::set<std::uint32_t> exchanges_;
  std::set<std::uint32_t> bindings_;
  std::map<std::uint32_t, std::size_t> gone_from_;  // how many of an exchange's bindings
};

}  // namespace levada
