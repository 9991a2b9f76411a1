#pragma once

/// @file
/// What an import is going to declare.

#include <string>
#include <string_view>
#include <vector>

#include <levada/bus.hpp>

namespace levada::definitions {

/// What imports are called in messages.
inline constexpr std::string_view import_operation = "import definitions";

/// An exchange or a queue that is to be declared.
template <class Options>
struct planned {
  std::string name;
  Options options;
};

/// What an import will declare.
struct plan {
  std::vector<policy_info> policies;
  std::vector<operator_policy_info> operator_policies;
  std::vector<planned<exchange_options>> exchanges;
  std::vector<planned<queue_options>> queues;
  std::vector<binding_info> bindings;
};

/// Declares all of it. What has been done before a failure stays.
[[nodiscard]] result<void> carry_out(bus& into, const plan& what);

}  // namespace levada::definitions
