#include "host.hpp"

#include <iostream>
#include <string>
#include <utility>
#include <variant>

#include <fmt/core.h>

#include <common/failure.hpp>

#include "analyst.hpp"
#include "call_register.hpp"
#include "lanes.hpp"
#include "notifier.hpp"
#include "records.hpp"
#include "reporter.hpp"
#include "store.hpp"

namespace emergency {
namespace {

/// How many take calls at a time.
constexpr std::size_t operators_count = 8;

call call_on(const std::string& line) {
  auto e = parse_event(line);
  auto* const made = std::get_if<call_made>(&e);
  if (!made) throw example::failure{fmt::format("standard input: '{}' is not a call", line)};
  return std::move(made->call);
}

/// A producer's work: publishes a call, and tells the caller when it is stored.
void take_call(const call& c, const levada::topic& alerts, const call_register& calls, reporter& out) {
  const bool stored_before = calls.was_stored(c.id);
  if (!stored_before) alerts.publish(to_record(c)).value();
  out.tell(call_acknowledged{c.id, stored_before});
}

}  // namespace

void run_host(const host_options& options) {
  auto bus = open_store(options.directory);
  reporter out;
  call_register calls{bus};
  {
    analyst analyst{bus, calls, options.analyst_period, out};
    notifier notifier{bus, calls, out};
    const auto alerts = bus.topic(names::alerts).value();
    lanes operators{operators_count};
    for (std::string line; std::getline(std::cin, line);) {
      auto call = call_on(line);
      analyst.clock_is(call.time);
      const auto key = call.line().key();
      operators.give(key, [&, c = std::move(call)] { take_call(c, alerts, calls, out); });
    }
    operators.wait();
    notifier.finish();
    analyst.finish();
  }
  bus.close().value();
}

}  // namespace emergency
