#include "viewer.hpp"

#include <utility>

#include <boost/asio/bind_executor.hpp>

#include "profile_event.hpp"

namespace live_profile {
namespace {

/// Few, as they take memory; some, so that the next one is there when an update has gone out.
constexpr std::uint32_t prefetch = 8;
/// Changes wake who waits, as does being disconnected.
constexpr std::chrono::hours until_something_happens{1};

}  // namespace

levada::result<std::shared_ptr<viewer>> viewer::bind(const surroundings& s, const watch& who,
                                                     std::shared_ptr<connection> to,
                                                     std::function<void()> on_end) {
  auto queue = s.bus.declare_anonymous_queue();
  if (!queue) return queue.error();
  for (const auto& key : who.binding_keys()) {
    if (const auto bound = s.bus.bind(notification_exchange, queue->name(), key); !bound) {
      return bound.error();
    }
  }
  auto events = queue->consume({.prefetch = prefetch});
  if (!events) return events.error();
  return std::shared_ptr<viewer>{
      new viewer{s, who, std::move(to), std::move(on_end), *std::move(queue), *std::move(events)}};
}

viewer::viewer(const surroundings& s, watch who, std::shared_ptr<connection> to, std::function<void()> on_end,
               levada::exclusive_queue queue, levada::queue_consumer events)
    : surroundings_{s},
      who_{std::move(who)},
      to_{std::move(to)},
      on_end_{std::move(on_end)},
      queue_{std::move(queue)},
      events_{std::move(events)} {}

levada::result<void> viewer::start() {
  auto now = who_.read(surroundings_.profiles);
  if (!now) return now.error();
  for (const auto& p : *now) note(p);
  send({update::kind::snapshot, *std::move(now)});
  return {};
}

levada::result<void> viewer::disconnect() {
  if (std::exchange(is_closed_, true)) return {};
  is_waiting_ = false;
  sending_since_.reset();
  events_.close();
  return queue_.close();
}

levada::result<void> viewer::disconnect(const levada::error& why) {
  if (is_closed_) return {};
  auto closed = disconnect();
  to_->ended(why);
  return closed;
}

std::optional<std::chrono::nanoseconds> viewer::sending_for() const {
  if (!sending_since_) return std::nullopt;
  return surroundings_.clock->steady() - *sending_since_;
}

bool viewer::note(const public_profile& p) {
  auto& newest = versions_[p.id];
  if (p.version <= newest) return false;
  newest = p.version;
  return true;
}

void viewer::receive() {
  is_waiting_ = true;
  events_.async_receive(
      until_something_happens,
      boost::asio::bind_executor(
          surroundings_.executor,
          [self = shared_from_this()](const levada::result<std::optional<levada::delivery>>& event) {
            self->received(event);
          }));
}

void viewer::received(const levada::result<std::optional<levada::delivery>>& event) {
  if (is_closed_) return;
  is_waiting_ = false;
  if (!event) return fail(event.error());
  if (!*event) return receive();
  const auto p = profile_in((*event)->record());
  if (!p) return fail(p.error());
  unsettled_ = (*event)->tag();
  if (note(*p)) {
    send({update::kind::change, {*p}});
  } else {
    ++known_already_;
    settle();
  }
}

void viewer::send(const update& u) {
  sending_since_ = surroundings_.clock->steady();
  to_->send(u, [weak = weak_from_this(), number = ++updates_] {
    if (const auto self = weak.lock()) self->sent(number);
  });
}

void viewer::sent(std::uint64_t update_number) {
  if (is_closed_ || !sending_since_ || update_number != updates_) return;
  sending_since_.reset();
  if (unsettled_) {
    settle();
  } else {
    receive();
  }
}

void viewer::settle() {
  const auto tag = *std::exchange(unsettled_, std::nullopt);
  events_.async_ack(tag, boost::asio::bind_executor(surroundings_.executor,
                                                    [self = shared_from_this()](levada::result<void> done) {
                                                      if (self->is_closed_) return;
                                                      if (!done) return self->fail(done.error());
                                                      self->receive();
                                                    }));
}

void viewer::fail(const levada::error& why) {
  // Where the queue cannot be given up either, the next opening of the store does it.
  static_cast<void>(disconnect(why));
  if (on_end_) on_end_();
}

}  // namespace live_profile
