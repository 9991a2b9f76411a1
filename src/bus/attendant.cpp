#include "bus/attendant.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "bus/core.hpp"
#include "bus/dispatch.hpp"
#include "bus/topology.hpp"

namespace levada {
namespace {

/// How many messages leave with one commit.
constexpr std::size_t slice_messages = 128;
/// After a commit that failed.
constexpr std::int64_t pause_microseconds = 1'000'000;

}  // namespace

/// Settles what is condemned, and what is too much, with what is to become of it.
class attendant::disposal final : public intent {
 public:
  disposal(std::shared_ptr<core> owner, std::shared_ptr<queue_slot> queue)
      : owner_{std::move(owner)}, queue_{std::move(queue)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (queue_->state.deleted) return {};
    if (taken_.empty()) taken_ = queue_->state.take_condemned(slice_messages);
    std::vector<std::uint64_t> positions;
    positions.reserve(taken_.size());
    for (const auto& c : taken_) positions.push_back(c.entry.position);
    std::sort(positions.begin(), positions.end());
    if (!positions.empty()) {
      if (auto settled = scope.settle(*queue_, positions); !settled) return settled;
      queue_->staged_condemned += taken_.size();
      for (const auto& c : taken_)
        scope.casualties().push_back({queue_.get(), c.entry.where, c.why, c.entry.delivered});
    }
    if (auto trimmed = trim(scope, *queue_); !trimmed) return trimmed;
    return bury(scope);
  }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    if (outcome) {
      if (queue_->state.has_condemned()) owner_->attends().look_soon(queue_);
      return;
    }
    queue_->state.condemn_again(taken_);
    owner_->attends().look_at(queue_, owner_->bus_time() + pause_microseconds);
  }

 private:
  const std::shared_ptr<core> owner_;
  const std::shared_ptr<queue_slot> queue_;
  std::vector<queue::condemned_entry> taken_;
};

void attendant::look_after(queue_slot& queue) {
  if (!queue.attended || queue.state.deleted) return;
  const auto self = queue.weak_from_this().lock();
  if (!self) return;
  // What is damaged, a consumer is told.
  const auto next = queue.state.condemn_at_head(owner_.main(), owner_.bus_time());
  if (queue.state.has_condemned()) {
    look_at(self, owner_.bus_time());
  } else if (next && *next) {
    look_at(self, **next);
  }
}

void attendant::look_soon(const std::shared_ptr<queue_slot>& queue) {
  look_at(queue, owner_.bus_time());
}

void attendant::look_at(const std::shared_ptr<queue_slot>& queue, std::int64_t when) {
  queue->next_look.set(owner_, when,
                       [owner = owner_.weak_from_this(), weak = std::weak_ptr{queue}] { look(owner, weak); });
}

void attendant::note_use(queue_slot& queue) {
  queue.last_use = owner_.bus_time();
}

std::optional<std::int64_t> attendant::expire(const std::shared_ptr<queue_slot>& queue) {
  const auto expires = queue->rules().expires;
  if (!expires || queue->state.consumers > 0) return std::nullopt;
  const std::int64_t last_use = queue->last_use;
  const std::int64_t when = last_use + *expires * 1000;
  if (owner_.bus_time() < when) return when;
  // It takes commits, which this thread does not wait for.
  const auto deletes = [owner = owner_.weak_from_this(), queue, last_use] {
    const auto bus = owner.lock();
    if (!bus || queue->state.deleted) return;
    const auto done = delete_queue(*bus, *queue, {.if_unused = true}, last_use);
    if (done || queue->state.deleted) return;
    const bool used = done.error() == errc::in_use;
    bus->attends().look_at(queue, bus->bus_time() + (used ? 0 : pause_microseconds));
  };
  static_cast<void>(owner_.calls().post(deletes));
  return std::nullopt;
}

void attendant::look(const std::weak_ptr<core>& owner, const std::weak_ptr<queue_slot>& queue) {
  const auto bus = owner.lock();
  const auto self = queue.lock();
  if (!bus || !self || self->state.deleted) return;
  self->next_look.rang();
  {
    const auto access = bus->enter("look after a queue");
    if (!access) return;
    const auto next = self->state.condemn_at_head(access->main(), bus->bus_time());
    if (next && *next) bus->attends().look_at(self, **next);
    if (const auto unused = bus->attends().expire(self)) bus->attends().look_at(self, *unused);
  }
  // What has waited may be ready.
  if (self->rules().redelivery) self->waiting.signal();
  if (self->state.has_condemned() || needs_trimming(*self)) bus->attends().dispose(self);
}

void attendant::dispose(const std::shared_ptr<queue_slot>& queue) {
  owner_.submit(fmt::format("dispose of messages of queue '{}'", queue->state.name()),
                std::make_unique<disposal>(owner_.shared_from_this(), queue));
}

}  // namespace levada
