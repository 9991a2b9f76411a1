#pragma once

/// @file
/// The policies of a bus, and what they make of what queues and exchanges were declared with.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/catalog.hpp"

#include <levada/error.hpp>
#include <levada/policy.hpp>

namespace levada {

/// What holds for a queue now.
struct queue_rules : storage::queue_traits {
  /// The policy that matches, and the operator's; empty: none.
  std::string policy = {};
  std::string operator_policy = {};
  bool operator==(const queue_rules&) const = default;
};

/// What holds for an exchange now, as far as policies can change it.
struct exchange_rules {
  std::string alternate = {};  // empty: none
  std::string policy = {};
  bool operator==(const exchange_rules&) const = default;
};

/// A queue that is declared with what a policy sets for queues; the other way round, a policy that sets what
/// a queue was declared with, but for its overflow, which a queue has in any case.
[[nodiscard]] queue_options options_of(const policy_definition& definition);
[[nodiscard]] policy_definition definition_of(const queue_options& options);
/// A policy that sets what an operator limits; the other way round, the limits among what a policy sets.
[[nodiscard]] policy_definition definition_of(const operator_limits& limits);
[[nodiscard]] operator_limits limits_of(const policy_definition& definition);

/// Puts policies into their stored form. Fail with `invalid_argument`, `name_invalid` or `field_too_long`.
[[nodiscard]] result<storage::policy_entry> entry_of(std::string_view name, const policy_options& options);
[[nodiscard]] result<storage::policy_entry> entry_of(std::string_view name,
                                                     const operator_policy_options& options);
[[nodiscard]] policy_info info_of(const storage::policy_entry& entry);
[[nodiscard]] operator_policy_info operator_info_of(const storage::policy_entry& entry);

/// Safe to share.
class policy_set {
 public:
  policy_set();
  explicit policy_set(const std::vector<storage::policy_entry>& entries);
  policy_set(const policy_set&) = delete;
  policy_set& operator=(const policy_set&) = delete;
  ~policy_set();

  /// Adds a policy, or replaces the one of that id.
  void put(const storage::policy_entry& entry);
  void erase(std::uint32_t id);
  [[nodiscard]] std::optional<storage::policy_entry> find(bool by_operator, std::string_view name) const;

  [[nodiscard]] queue_rules rules_for_queue(const std::string& name,
                                            const storage::queue_traits& declared) const;
  [[nodiscard]] exchange_rules rules_for_exchange(const std::string& name,
                                                  const std::string& alternate) const;

 private:
  struct one;
  /// The one that holds for that name; null where none matches.
  [[nodiscard]] const one* match(bool by_operator, policy_target what, const std::string& name) const;

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<const one>> all_;  // the first that matches holds
};

}  // namespace levada
