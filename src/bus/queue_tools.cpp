#include "bus/queue_tools.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "bus/backfill.hpp"
#include "bus/messages.hpp"
#include "bus/names.hpp"
#include "bus/route.hpp"
#include "bus/settle_intent.hpp"

namespace levada {

void add_owners_view(const queue_slot& queue, queue_info& info) {
  info.backfill = queue.backfill_left;  // first: where nothing is left, the rest knows what has been entered
  info.unacked = queue.state.unacked();
  info.consumers = queue.state.consumers;
  info.ready = queue.state.ready().messages;
  info.waiting = queue.state.waiting();
}

result<std::uint64_t> purge_queue(core& owner, queue_slot& queue) {
  constexpr std::size_t slice = 512;
  const std::string operation = fmt::format("purge queue '{}'", queue.state.name());
  // What was on its way would have come before.
  if (auto ended = end_backfills(owner, operation, queue); !ended) return ended.error();
  std::uint64_t purged = 0;
  // What comes meanwhile need not be waited for.
  for (std::uint64_t left = queue.state.ready().messages; left > 0;) {
    const auto access = owner.enter(operation);
    if (!access) return access.error();
    // What has expired behind the head is purged as well, and is no dead letter (as in RabbitMQ).
    auto taken = queue.state.take(access->main(), std::min<std::uint64_t>(slice, left), owner.bus_time(),
                                  queue::flawed::as_well);
    if (!taken) return taken.error();
    if (taken->empty()) break;
    settle_intent settles{queue, *taken};
    if (auto done = owner.run(*access, operation, settles); !done) {
      for (const auto& entry : *taken) queue.state.put_back(entry);
      return done.error();
    }
    purged += taken->size();
    left -= std::min<std::uint64_t>(left, taken->size());
  }
  return purged;
}

result<record_batch> peek(core& owner, const core::access& access, const queue_slot& queue,
                          std::size_t most) {
  constexpr std::size_t bytes_max = std::size_t{16} << 20;
  auto which = queue.state.look_at(access.main(), most, owner.bus_time());
  if (!which) return which.error();
  const std::string operation = fmt::format("peek into queue '{}'", queue.state.name());
  auto outcome = read_messages(owner, access.main(), operation, *which, bytes_max);
  if (outcome.read == 0 && !outcome.ended) return outcome.ended.error();
  return std::move(outcome.messages);
}

}  // namespace levada
