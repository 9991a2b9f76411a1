#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <levada/bus.hpp>

#include "organisation.hpp"

namespace cache_sync {

/// The topic of the changes: all that those who follow the organisations need to know of this service.
inline constexpr auto changes_topic = "organisation-changes";

/// What can be changed of an organisation.
struct details {
  std::string name;
  std::uint32_t seats = 0;
  bool active = true;
};

/// Enters or changes an organisation within a transaction, and returns its new state.
[[nodiscard]] levada::result<organisation> write(levada::transaction& t, const levada::table& organisations,
                                                 organisation_id id, const details& d);

/// All organisations of a table, by id.
[[nodiscard]] levada::result<std::vector<organisation>> read_all(const levada::table& organisations);

/// The organisation service. It keeps its organisations in a table of the bus's store, and publishes each
/// change in the transaction that makes it: there is never a change without its event, nor an event without
/// its change. It does not know who listens, or whether anybody does.
///
/// May be used from any thread. The bus must outlive it.
class organisation_service {
 public:
  /// Throws `levada::exception`.
  explicit organisation_service(levada::bus& bus);

  /// Enters or changes an organisation. On return the change and its event are durable; after an error there
  /// is neither, but after `outcome_unknown`, when there may be both.
  [[nodiscard]] levada::result<organisation> save(organisation_id id, const details& d);
  [[nodiscard]] levada::result<std::vector<organisation>> all() const { return read_all(organisations_); }

 private:
  levada::bus& bus_;
  levada::table organisations_;
  levada::topic changes_;
};

}  // namespace cache_sync
