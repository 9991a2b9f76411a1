#include "direct_call.hpp"

#include <future>
#include <utility>

#include <fmt/core.h>

namespace cache_sync {
namespace {

constexpr auto entitlements_table = "direct-entitlements";
constexpr auto organisations_table = "direct-organisations";

/// Waits as a caller does whom nobody answers.
void wait_in_vain(std::chrono::milliseconds time_max) {
  std::promise<void> nobody;
  nobody.get_future().wait_for(time_max);
}

}  // namespace

direct_licensing::direct_licensing(levada::bus& bus)
    : entitlements_{bus.declare_table(entitlements_table).value()} {}

levada::result<bool> direct_licensing::call(const organisation& o, std::chrono::milliseconds time_max) {
  if (!work_) {
    wait_in_vain(time_max);
    return false;
  }
  if (*work_) (*work_)(o);
  if (const auto put = entitlements_.put(o.id, to_text(entitlement_of(o))); !put) return put.error();
  return true;
}

levada::result<std::optional<entitlement>> direct_licensing::cached(organisation_id id) const {
  const auto entry = entitlements_.get(id);
  if (!entry) return entry.error();
  if (!*entry) return std::nullopt;
  return parse_entitlement(**entry);
}

calling_organisation_service::calling_organisation_service(levada::bus& bus, direct_licensing& licensing,
                                                           std::chrono::milliseconds time_max)
    : bus_{bus},
      licensing_{licensing},
      time_max_{time_max},
      organisations_{bus.declare_table(organisations_table).value()} {}

levada::result<bool> calling_organisation_service::save(organisation_id id, const details& d) {
  organisation changed;
  const auto done = bus_.transact([&](levada::transaction& t) -> levada::result<void> {
    auto written = write(t, organisations_, id, d);
    if (!written) return written.error();
    changed = *std::move(written);
    return {};
  });
  if (!done) return done.error();
  return licensing_.call(changed, time_max_);
}

}  // namespace cache_sync
