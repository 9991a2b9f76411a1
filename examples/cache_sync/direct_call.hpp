#pragma once

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include <levada/bus.hpp>

#include "licensing.hpp"
#include "organisation_service.hpp"

namespace cache_sync {

/// The synchronous way, to compare with: licensing is called for each change, in the publisher's own thread,
/// and writes its cache before it answers. One thread at a time.
class direct_licensing {
 public:
  /// Throws `levada::exception`.
  explicit direct_licensing(levada::bus& bus);

  /// How licensing is: what it does for each change; nothing where it is down, and calls are not answered.
  void is_up(work_per_change work) { work_ = std::move(work); }
  void is_down() { work_.reset(); }

  /// Tells it of a change. Returns whether it has answered in time.
  [[nodiscard]] levada::result<bool> call(const organisation& o, std::chrono::milliseconds time_max);
  [[nodiscard]] levada::result<std::optional<entitlement>> cached(organisation_id id) const;

 private:
  levada::table entitlements_;
  std::optional<work_per_change> work_;
};

/// The organisation service that calls it. When a call is not answered, the change has been made all the
/// same: two services that call each other have no commit in common.
class calling_organisation_service {
 public:
  /// Throws `levada::exception`.
  calling_organisation_service(levada::bus& bus, direct_licensing& licensing,
                               std::chrono::milliseconds time_max);

  /// Enters or changes an organisation and tells licensing. Returns whether that has answered in time.
  [[nodiscard]] levada::result<bool> save(organisation_id id, const details& d);
  [[nodiscard]] levada::result<std::vector<organisation>> all() const { return read_all(organisations_); }

 private:
  levada::bus& bus_;
  direct_licensing& licensing_;
  const std::chrono::milliseconds time_max_;
  levada::table organisations_;
};

}  // namespace cache_sync
