#include "gateway.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "profile_event.hpp"
#include "profile_table.hpp"

namespace live_profile {
namespace {

surroundings prepare(levada::bus& bus, boost::asio::any_io_executor executor,
                     std::shared_ptr<levada::clock> clock) {
  bus.declare_exchange(notification_exchange).value();
  return {bus, bus.declare_table(profiles_table).value(), std::move(executor), std::move(clock)};
}

}  // namespace

gateway::gateway(levada::bus& bus, boost::asio::any_io_executor executor,
                 std::shared_ptr<levada::clock> clock)
    : surroundings_{prepare(bus, std::move(executor), std::move(clock))} {}

gateway::~gateway() {
  // Where a queue cannot be given up, the next opening of the store does it.
  for (const auto& [id, v] : viewers_) static_cast<void>(v->disconnect());
}

levada::result<viewer_id> gateway::connect(const watch& who, std::shared_ptr<connection> to) {
  const auto id = ++last_;
  const auto v = viewer::bind(surroundings_, who, std::move(to), [this, id] { viewers_.erase(id); });
  if (!v) return v.error();
  if (const auto started = (*v)->start(); !started) {
    static_cast<void>((*v)->disconnect());
    return started.error();
  }
  viewers_.emplace(id, *v);
  return id;
}

levada::result<void> gateway::disconnect(viewer_id id) {
  const auto found = viewers_.find(id);
  if (found == viewers_.end()) return {};
  const auto v = found->second;
  viewers_.erase(found);
  return v->disconnect();
}

levada::result<std::size_t> gateway::drop_stalled(std::chrono::milliseconds time_max) {
  const levada::error why{levada::errc::timed_out,
                          fmt::format("no update was taken for {} ms", time_max.count())};
  std::size_t dropped = 0;
  for (auto at = viewers_.begin(); at != viewers_.end();) {
    const auto v = at->second;
    if (v->sending_for() < time_max) {
      ++at;
      continue;
    }
    at = viewers_.erase(at);
    ++dropped;
    if (const auto ended = v->disconnect(why); !ended) return ended.error();
  }
  return dropped;
}

std::size_t gateway::waiting() const {
  const auto waits = [](const auto& entry) { return entry.second->is_waiting(); };
  return static_cast<std::size_t>(std::count_if(viewers_.begin(), viewers_.end(), waits));
}

}  // namespace live_profile
