#include "switchboard.hpp"

#include <algorithm>

#include <fmt/core.h>

#include <common/failure.hpp>

#include "records.hpp"
#include "store.hpp"

namespace emergency {
namespace {

constexpr std::uint32_t exchange_partitions = 2;
constexpr std::size_t couriers_count = 8;

levada::bus& with_exchange(levada::bus& bus) {
  bus.declare_exchange(names::exchange,
                       {.type = levada::exchange_type::topic, .partitions = exchange_partitions})
      .value();
  return bus;
}

}  // namespace

switchboard::switchboard(levada::bus& bus, call_register& calls, reporter& out)
    : bus_{with_exchange(bus)},
      out_{out},
      tools_{bus, bus.topic(names::acceptances).value(), calls, out, unsettled_},
      couriers_{couriers_count} {}

void switchboard::join(const scope& lines) {
  couriers_.wait();
  subscribers_.emplace_back(++joined_, lines, tools_);
}

void switchboard::leave(const scope& lines) {
  couriers_.wait();
  leaving_.remove_if([](const subscriber& s) { return s.is_done(); });
  const auto first = std::find_if(subscribers_.begin(), subscribers_.end(),
                                  [&](const subscriber& s) { return s.lines() == lines; });
  if (first == subscribers_.end()) return;
  first->leave();
  leaving_.splice(leaving_.end(), subscribers_, first);
}

bool switchboard::has(const scope& lines) const {
  return std::any_of(subscribers_.begin(), subscribers_.end(),
                     [&](const subscriber& s) { return s.lines() == lines; });
}

void switchboard::hand(const levada::record_view& alert) {
  const auto line = parse_line_key(alert.key());
  std::size_t expected = 0;
  for (auto& s : subscribers_) {
    if (!s.lines().covers(line)) continue;
    s.expect();
    ++expected;
  }
  unsettled_.add(expected);
  const auto key = line.key();
  couriers_.give(key, [this, alert, key, expected] {
    const auto receipt = bus_.publish(names::exchange, key, levada::record{alert}).value();
    out_.tell(alert_handed{call_id_in(alert), alert.partition(), alert.offset(), receipt.routed});
    if (receipt.routed != expected) {
      throw example::failure{fmt::format("the alert of line '{}' went into {} queues instead of {}", key,
                                         receipt.routed, expected)};
    }
  });
}

void switchboard::wait_until_settled() {
  couriers_.wait();
  unsettled_.wait_for_none();
}

void switchboard::close() {
  for (auto& s : subscribers_) s.leave();
  leaving_.splice(leaving_.end(), subscribers_);
  for (auto& s : leaving_) s.wait();
}

}  // namespace emergency
