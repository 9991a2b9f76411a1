#include "host.hpp"

#include <chrono>

#include <common/failure.hpp>

#include "profile_event.hpp"
#include "profile_table.hpp"

namespace live_profile {
namespace {

/// Ends a run that hangs; nothing takes so long on any disk.
constexpr std::chrono::seconds patience{60};

levada::bus_options options_with(const std::shared_ptr<levada::clock>& clock) {
  levada::bus_options o;
  o.clock = clock;
  return o;
}

}  // namespace

host::host(const std::filesystem::path& store)
    : context_{1},
      work_{context_.get_executor()},
      clock_{std::make_shared<levada::manual_clock>()},
      bus_{levada::bus::open(store, options_with(clock_)).value()},
      users_{bus_},
      gateway_{bus_, context_.get_executor(), clock_} {}

std::vector<public_profile> host::profiles() const {
  return read_profiles(bus_.table(profiles_table).value()).value();
}

public_profile host::profile(user_id id) const {
  return read_profile(bus_.table(profiles_table).value(), id).value().value();
}

std::uint64_t host::events() const {
  std::uint64_t count = 0;
  for (const auto& log : bus_.topics().value()) {
    if (log.name != notification_exchange) continue;
    for (const auto& p : log.partitions) count += p.end - p.begin;
  }
  return count;
}

queue_figures host::figures() const {
  queue_figures f;
  for (const auto& q : bus_.queues().value()) {
    ++f.queues;
    f.messages += q.messages;
  }
  f.bindings = bus_.bindings().value().size();
  return f;
}

void host::run_until(const std::function<bool()>& done) {
  while (!done()) {
    if (context_.run_one_for(patience) == 0)
      throw example::failure{"the viewers wait for what does not come"};
  }
}

}  // namespace live_profile
