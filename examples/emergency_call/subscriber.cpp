#include "subscriber.hpp"

#include <chrono>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "acceptance.hpp"
#include "records.hpp"
#include "store.hpp"

namespace emergency {
namespace {

/// Deliveries that one commit acknowledges, at most.
constexpr std::size_t taken_at_once_max = 32;
constexpr std::chrono::milliseconds only_what_is_there{0};

levada::exclusive_queue bound_queue(levada::bus& bus, const scope& lines) {
  auto queue = bus.declare_anonymous_queue().value();
  bus.bind(names::exchange, queue.name(), lines.binding_key()).value();
  return queue;
}

}  // namespace

void unsettled_alerts::add(std::size_t n) {
  const std::lock_guard lock{mutex_};
  count_ += n;
}

void unsettled_alerts::remove(std::size_t n) {
  const std::lock_guard lock{mutex_};
  if ((count_ -= n) == 0) none_.notify_all();
}

void unsettled_alerts::wait_for_none() {
  std::unique_lock lock{mutex_};
  none_.wait(lock, [&] { return count_ == 0; });
}

subscriber::subscriber(subscriber_id id, scope lines, subscriber_tools tools)
    : id_{id},
      lines_{std::move(lines)},
      tools_{std::move(tools)},
      queue_{bound_queue(tools_.bus, lines_)},
      consumer_{queue_.consume().value()},
      worker_{[this] { receive_all(); }} {
  tools_.out.tell(subscriber_joined{id_, lines_});
}

subscriber::~subscriber() {
  static_cast<void>(queue_.close());  // wakes the thread
}

void subscriber::expect() {
  const std::lock_guard lock{mutex_};
  ++expected_;
}

void subscriber::leave() {
  tools_.bus.unbind(names::exchange, queue_.name(), lines_.binding_key()).value();
  tools_.out.tell(subscriber_left{id_});
  const std::lock_guard lock{mutex_};
  leaving_ = true;
  if (expected_ == 0) queue_.close().value();
}

void subscriber::receive_all() {
  for (;;) {
    const auto first = consumer_.receive(std::chrono::hours{1});
    if (!first && first.error() == levada::errc::closed) break;  // left, and the queue is gone
    std::vector<levada::delivery> taken;
    for (auto next = first.value(); next; next = consumer_.receive(only_what_is_there).value()) {
      taken.push_back(*std::move(next));
      if (taken.size() == taken_at_once_max) break;
    }
    if (!taken.empty()) handle(taken);
  }
  done_ = true;
}

void subscriber::handle(const std::vector<levada::delivery>& taken) {
  auto acceptances = tools_.acceptances.make_batch();
  std::vector<call_id> accepted;
  for (const auto& d : taken) {
    const auto call = call_id_in(d.record());
    tools_.out.tell(alert_delivered{id_, call});
    if (!lines_.is_area() || !tools_.calls.claim(call)) continue;
    acceptances.add(to_record(accept(call_in(d.record()), fmt::format("desk {}", id_)))).value();
    accepted.push_back(call);
  }
  tools_.acceptances.publish(acceptances).value();
  for (const auto call : accepted) tools_.out.tell(call_accepted{call});
  consumer_.ack_up_to(taken.back().tag()).value();
  settled(taken.size());
}

void subscriber::settled(std::size_t n) {
  {
    const std::lock_guard lock{mutex_};
    expected_ -= n;
    if (expected_ == 0 && leaving_) queue_.close().value();
  }
  tools_.unsettled.remove(n);
}

}  // namespace emergency
