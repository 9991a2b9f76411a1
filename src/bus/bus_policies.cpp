// A bus's own calls that are about policies.

#include <utility>

#include "bus/bus_impl.hpp"
#include "bus/policy_change.hpp"

#include <levada/bus.hpp>

namespace levada {

result<void> bus::set_policy(std::string_view name, const policy_options& options) {
  auto entry = entry_of(name, options);
  if (!entry) return entry.error();
  return levada::set_policy(*impl_->owner, std::move(*entry));
}

result<void> bus::delete_policy(std::string_view name) {
  return levada::delete_policy(*impl_->owner, false, name);
}

result<void> bus::set_operator_policy(std::string_view name, const operator_policy_options& options) {
  auto entry = entry_of(name, options);
  if (!entry) return entry.error();
  return levada::set_policy(*impl_->owner, std::move(*entry));
}

result<void> bus::delete_operator_policy(std::string_view name) {
  return levada::delete_policy(*impl_->owner, true, name);
}

}  // namespace levada
