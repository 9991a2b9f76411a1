#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include <levada/types.hpp>

#include "call.hpp"
#include "line.hpp"

namespace emergency {

/// Counted from 1 in each life of the host.
using subscriber_id = std::uint64_t;

// What happens, as told by the host, and by the demo that watches it. One line of text each.

/// Someone calls: the demo has handed the call to the host.
struct call_made {
  emergency::call call;
};
/// The demo has started a host.
struct host_started {};
/// The demo has killed the host.
struct host_killed {};
/// The call is stored, and the caller knows.
struct call_acknowledged {
  call_id call = 0;
  /// It came a second time: an earlier host had stored it and was killed before it could say so.
  bool stored_before = false;
};
/// A subscriber has bound its queue. It gets every alert that is handed over from here on, and that it
/// covers.
struct subscriber_joined {
  subscriber_id subscriber = 0;
  scope lines;
};
/// A subscriber has unbound its queue. It still gets what was handed over before.
struct subscriber_left {
  subscriber_id subscriber = 0;
};
/// The notifier has published an alert to the exchange.
struct alert_handed {
  call_id call = 0;
  /// Where the alert stands in its topic.
  levada::partition_id partition;
  levada::offset offset;
  /// How many queues the exchange put it into.
  std::size_t queues = 0;
};
/// A subscriber has received an alert.
struct alert_delivered {
  subscriber_id subscriber = 0;
  call_id call = 0;
};
/// A desk has accepted a call, and that is stored.
struct call_accepted {
  call_id call = 0;
};
/// The notifier has committed an offset: it is done with all alerts below it.
struct offset_committed {
  levada::partition_id partition;
  levada::offset offset;
};
/// A line of the analyst's report.
struct line_printed {
  std::string text;
};
/// The report is complete.
struct report_finished {};

using event = std::variant<call_made, host_started, host_killed, call_acknowledged, subscriber_joined,
                           subscriber_left, alert_handed, alert_delivered, call_accepted, offset_committed,
                           line_printed, report_finished>;

/// The event as a line, without its end.
[[nodiscard]] std::string to_text(const event& e);
/// Reads such a line. Throws `failure`.
[[nodiscard]] event parse_event(std::string_view text);

}  // namespace emergency
