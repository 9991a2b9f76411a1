#pragma once

#include <optional>
#include <string>
#include <vector>

#include <levada/bus.hpp>

#include "public_profile.hpp"

namespace live_profile {

/// The table of the public profiles, by user id: the user service writes it, and whoever needs to know how
/// profiles are now reads it. There is nothing else in it.
inline constexpr auto profiles_table = "profiles";

/// Reads an entry of it. Fails with `damaged` for another text.
[[nodiscard]] levada::result<public_profile> profile_of_entry(user_id id, const std::string& value);

/// The profile of a user as of the newest commit; nothing where there is no such user.
[[nodiscard]] levada::result<std::optional<public_profile>> read_profile(const levada::table& profiles,
                                                                         user_id id);
/// All profiles, by id. Those of many users are read in several steps, each as of its moment.
[[nodiscard]] levada::result<std::vector<public_profile>> read_profiles(const levada::table& profiles);

}  // namespace live_profile
