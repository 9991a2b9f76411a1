#include "watch.hpp"

#include "profile_event.hpp"
#include "profile_table.hpp"

namespace live_profile {

std::vector<std::string> watch::binding_keys() const {
  if (!ids_) return {all_changes};
  std::vector<std::string> keys;
  for (const auto id : *ids_) keys.push_back(routing_key_of(id));
  return keys;
}

levada::result<std::vector<public_profile>> watch::read(const levada::table& profiles) const {
  if (!ids_) return read_profiles(profiles);
  std::vector<public_profile> found;
  for (const auto id : *ids_) {
    const auto p = read_profile(profiles, id);
    if (!p) return p.error();
    if (*p) found.push_back(**p);
  }
  return found;
}

}  // namespace live_profile
