#pragma once

#include <string>

#include <levada/error.hpp>
#include <levada/record.hpp>

#include "public_profile.hpp"

namespace live_profile {

/// The topic exchange for all that users may want to be told of.
inline constexpr auto notification_exchange = "notification";

/// The routing key of a user's changes: "user.changed.17". The id is part of it so that the bus chooses:
/// who looks at one profile is handed the changes of that one, and the others cost him nothing.
[[nodiscard]] std::string routing_key_of(user_id id);
/// The binding key for the changes of all users: "user.changed.#".
inline constexpr auto all_changes = "user.changed.#";

/// The event that a profile has changed: its whole new state. The only way by which anything of a user gets
/// onto the bus, and what it takes has no private field.
[[nodiscard]] levada::record to_event(const public_profile& p);
/// Reads such an event. Fails with `invalid_argument` for a record of another form.
[[nodiscard]] levada::result<public_profile> profile_in(const levada::record_view& event);

}  // namespace live_profile
