#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <levada/bus.hpp>

#include "public_profile.hpp"

namespace live_profile {

/// Whose profiles a viewer looks at. A value.
class watch {
 public:
  [[nodiscard]] static watch everybody() { return watch{std::nullopt}; }
  /// Those of these users, who need not exist yet.
  [[nodiscard]] static watch users(std::vector<user_id> ids) { return watch{std::move(ids)}; }

  /// What a queue is bound with to get their changes, and no other ones.
  [[nodiscard]] std::vector<std::string> binding_keys() const;
  /// Their profiles as they are now.
  [[nodiscard]] levada::result<std::vector<public_profile>> read(const levada::table& profiles) const;

 private:
  explicit watch(std::optional<std::vector<user_id>> ids) : ids_{std::move(ids)} {}
  std::optional<std::vector<user_id>> ids_;  // nothing: everybody
};

}  // namespace live_profile
