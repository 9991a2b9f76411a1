#pragma once

/// @file
/// Where levada means to differ from RabbitMQ 3.10: each difference with a name, its reason, and the one rule
/// by which it is kept out of the comparison.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include <rabbitmq/broker.hpp>

namespace levada::rabbit {

/// In the order of `deliberate_differences::all`.
enum class difference : std::uint8_t {
  typed_header_values,
  mandatory_is_refused,
  missing_is_an_error,
  unsettled_is_in_use,
  defaults_are_equivalent,
  default_exchange_is_all_or_none,
  which_error_first,
  order_of_deaths,
  circles_of_three_deaths,
  expired_ones_that_overtake,
};

/// Applies the rules, and counts how often each did. One for each history; not thread-safe.
class deliberate_differences {
 public:
  struct rule {
    difference which{};
    const char* name = "";
    /// What either side does, and why levada does it its way.
    const char* reason = "";
    /// How it is kept out.
    const char* exclusion = "";
  };
  static constexpr std::size_t count = 10;
  [[nodiscard]] static const std::array<rule, count>& all() noexcept;

  /// The operation that both sides are asked instead.
  [[nodiscard]] operation adapted(operation op);
  /// Takes what differs on purpose out of the answers to the adapted operation. Called for each.
  void reconcile(const operation& op, answer& rabbit, answer& levada);

  [[nodiscard]] std::uint64_t applied(difference which) const {
    return applied_.at(static_cast<std::size_t>(which));
  }
  deliberate_differences& operator+=(const deliberate_differences& other);

 private:
  void note(difference which) { ++applied_.at(static_cast<std::size_t>(which)); }
  void spread_numbers(field_table& table);
  void follow(const operation& op, const answer& a);

  std::array<std::uint64_t, count> applied_{};
  /// Unsettled deliveries of each queue.
  std::map<std::string, std::size_t> unsettled_;
  /// Queues that dead-letter what they refuse.
  std::set<std::string> refuse_into_dead_letters_;
};

/// A table of all rules, with how often each was applied.
[[nodiscard]] std::string to_text(const deliberate_differences& rules);

}  // namespace levada::rabbit
