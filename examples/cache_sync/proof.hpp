#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <common/claim.hpp>

#include "audit.hpp"
#include "licensing.hpp"
#include "organisation.hpp"

namespace cache_sync {

using example::claim;

// Those that ask a service throw `levada::exception` when it fails.

/// Watches what licensing answers after a start. An answer is stale when it is older than the organisation
/// was at that start, or than an answer before it.
class freshness {
 public:
  /// `at_start` is how the organisations were when licensing was started.
  explicit freshness(const std::vector<organisation>& at_start);

  /// Counts what licensing would have answered wrongly at its start.
  void see_cache(const licensing& asked);
  [[nodiscard]] std::size_t entries_stale() const { return entries_stale_; }
  void see(organisation_id id, const answer& a);
  /// That no answer was stale.
  [[nodiscard]] claim nothing_stale() const;

 private:
  std::map<organisation_id, entitlement> at_start_;
  std::map<organisation_id, std::uint64_t> newest_;  // versions
  std::size_t entries_stale_ = 0;
  std::uint64_t answers_ = 0;
  std::uint64_t refusals_ = 0;
  std::vector<std::string> violations_;
};

/// That licensing, which has taken in everything, answers what follows from the organisations.
[[nodiscard]] claim cache_equals_table(const licensing& asked, const std::vector<organisation>& table);

/// That the audit has counted each change of each organisation once and in order.
[[nodiscard]] claim audit_saw_all(const audit& asked, const std::vector<organisation>& table);

}  // namespace cache_sync
