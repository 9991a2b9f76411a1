#pragma once

#include <atomic>

#include <levada/bus.hpp>

#include "call_register.hpp"
#include "reporter.hpp"
#include "worker.hpp"

namespace emergency {

/// Hands every alert to the subscribers of the caller's line, in a thread of its own. It reads the alerts as
/// group "1", and commits an offset only when all subscribers have acknowledged what lies below: after a
/// crash, alerts may be handed over again, and none is left out.
class notifier {
 public:
  notifier(levada::bus& bus, call_register& calls, reporter& out);
  /// Finishes.
  ~notifier();

  /// To be called when no more alerts will be published. Returns when all are handed over, acknowledged and
  /// committed.
  void finish();

 private:
  void run();

  levada::bus& bus_;
  call_register& calls_;
  reporter& out_;
  std::atomic<bool> last_alert_published_ = false;
  worker worker_;  // last: uses all the others
};

}  // namespace emergency
