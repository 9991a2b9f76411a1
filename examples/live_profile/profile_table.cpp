#include "profile_table.hpp"

#include <utility>

#include <fmt/core.h>

namespace live_profile {

levada::result<public_profile> profile_of_entry(user_id id, const std::string& value) {
  if (auto p = parse_public_profile(value); p && p->id == id) return *std::move(p);
  return levada::error{levada::errc::damaged,
                       fmt::format("table '{}', key {}: '{}' is not its profile", profiles_table, id, value)};
}

levada::result<std::optional<public_profile>> read_profile(const levada::table& profiles, user_id id) {
  const auto entry = profiles.get(id);
  if (!entry) return entry.error();
  if (!*entry) return std::nullopt;
  auto p = profile_of_entry(id, **entry);
  if (!p) return p.error();
  return *std::move(p);
}

levada::result<std::vector<public_profile>> read_profiles(const levada::table& profiles) {
  std::vector<public_profile> all;
  levada::key_range rest;
  for (;;) {
    const auto entries = profiles.scan(rest);
    if (!entries) return entries.error();
    if (entries->empty()) return all;
    for (const auto& e : *entries) {
      auto p = profile_of_entry(e.key.unsigned_number(0).value_or(0), e.value);
      if (!p) return p.error();
      all.push_back(*std::move(p));
    }
    rest = rest.after(entries->back().key);
  }
}

}  // namespace live_profile
