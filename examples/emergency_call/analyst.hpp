#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include <levada/bus.hpp>

#include "call_register.hpp"
#include "local_time.hpp"
#include "reporter.hpp"
#include "worker.hpp"

namespace emergency {

/// The analyst's batch job and its schedule. A run joins the analyst's own group, reads all calls and
/// acceptances since the group's committed offsets, tells its report, commits, and leaves; what comes in
/// meanwhile is for the next run. Committing last means that after a crash in between, the next run counts
/// the same calls again rather than leaving them out.
///
/// Runs are due whenever another `period` has passed since the midnight before the first call, by the calls'
/// own clock, and once at the end; never, when `period` is zero. They take place in a thread of their own,
/// beside everything else.
class analyst {
 public:
  /// A run that an earlier host missed is not made up for: the next one reads all that is there.
  analyst(levada::bus& bus, const call_register& calls, std::chrono::days period, reporter& out);
  /// Waits for a run that is due or under way.
  ~analyst();

  /// A call of this time has come in.
  void clock_is(local_time t);
  /// Runs a last time, and waits for that.
  void finish();

 private:
  /// Sets when the next run is due. Returns whether one is due now.
  bool schedule(local_time now);
  void close(bool one_more_run);
  void serve();
  void run();

  levada::bus& bus_;
  const std::chrono::days period_;
  reporter& out_;
  std::optional<local_time> origin_;
  local_time next_run_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool due_ = false;
  bool closing_ = false;
  worker worker_;  // last: uses all the others
};

}  // namespace emergency
