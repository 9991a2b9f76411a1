#pragma once

#include <cstdint>
#include <optional>

#include <levada/bus.hpp>

#include "organisation.hpp"

namespace cache_sync {

/// What the audit has seen of an organisation.
struct audit_entry {
  std::uint64_t changes = 0;
  /// Changes that were not the one after that before them.
  std::uint64_t out_of_order = 0;
  organisation last;
};

/// A consumer that was thought of later: it counts all changes that there have ever been, in a table of its
/// own. A group that has committed nothing begins with the oldest record, so nobody who publishes or consumes
/// has to know of it. Effectively-once: each change is counted once, crashes notwithstanding.
///
/// One thread at a time. The bus must outlive it.
class audit {
 public:
  /// Throws `levada::exception`.
  explicit audit(levada::bus& bus);

  /// Counts what there is by now. Returns how many changes it were. When it fails, it may be called again.
  [[nodiscard]] levada::result<std::uint64_t> catch_up();
  [[nodiscard]] levada::result<std::optional<audit_entry>> entry(organisation_id id) const;

 private:
  levada::bus& bus_;
  levada::table entries_;
  levada::consumer changes_;
};

}  // namespace cache_sync
