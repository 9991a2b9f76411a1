#pragma once

#include <optional>

#include <levada/bus.hpp>

#include "credentials.hpp"
#include "public_profile.hpp"

namespace live_profile {

/// The user service. It keeps profiles and credentials in two tables of the bus's store, and publishes each
/// change of a profile in the transaction that makes it: there is never a change without its event, nor an
/// event without its change. Credentials change without an event, as nobody else is to know. It does not
/// know who listens, or whether anybody does, and waits for nobody who does.
///
/// May be used from any thread. The bus must outlive it.
class user_service {
 public:
  /// Throws `levada::exception`.
  explicit user_service(levada::bus& bus);

  // On return a change and its event are durable; after an error there is neither, but after
  // `outcome_unknown`, when there may be both. They fail with `invalid_argument` for details or credentials
  // that are not as they should be.

  /// Enters a user, under the next free id.
  [[nodiscard]] levada::result<public_profile> sign_up(const details& d, const credentials& c);
  /// Changes a user's profile, and returns it as it is then; nothing where there is no such user.
  [[nodiscard]] levada::result<std::optional<public_profile>> change(user_id id, const details& d);
  /// Changes a user's credentials. Returns whether there is such a user.
  [[nodiscard]] levada::result<bool> change_credentials(user_id id, const credentials& c);

  /// For the login service; nothing where there is no such user.
  [[nodiscard]] levada::result<std::optional<credentials>> credentials_of(user_id id) const;

 private:
  /// Writes a profile, and publishes that.
  [[nodiscard]] levada::result<void> write(levada::transaction& t, const public_profile& p) const;

  levada::bus& bus_;
  levada::table profiles_;
  levada::table credentials_;
};

}  // namespace live_profile
