#pragma once

#include <cstddef>
#include <list>

#include <levada/record.hpp>

#include "lanes.hpp"
#include "subscriber.hpp"

namespace emergency {

/// Connects alerts with subscribers through the exchange. For one thread: so what it tells of joining,
/// leaving and handing over is in the order in which it happened.
class switchboard {
 public:
  /// Declares the exchange.
  switchboard(levada::bus& bus, call_register& calls, reporter& out);
  void join(const scope& lines);
  /// The one who joined first among those with this scope leaves; nobody, when there is none.
  void leave(const scope& lines);
  [[nodiscard]] bool has(const scope& lines) const;

  /// Hands an alert to everybody who is a subscriber of its line now; couriers do it, side by side with other
  /// lines' alerts. The alert is borrowed until `wait_until_settled` returns. Ends the process when the
  /// exchange puts it into more or fewer queues than there are subscribers.
  void hand(const levada::record_view& alert);
  /// Returns when all alerts handed over are acknowledged by all who got them.
  void wait_until_settled();
  /// Lets everybody leave, and waits until they have received what is theirs.
  void close();

 private:
  levada::bus& bus_;
  reporter& out_;
  unsettled_alerts unsettled_;
  const subscriber_tools tools_;
  subscriber_id joined_ = 0;
  std::list<subscriber> subscribers_;
  std::list<subscriber> leaving_;
  lanes couriers_;  // last: use all the others
};

}  // namespace emergency
