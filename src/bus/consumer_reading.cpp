// What a poll does: it follows the group, then reads, or waits until there is something.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bus/consumer_impl.hpp"
#include "bus/waiting_call.hpp"
#include "log/log_reader.hpp"

namespace levada {

result<record_batch> consumer::impl::read() {
  auto access = enter("poll");
  if (!access) return access.error();
  for (auto& p : owned_) {
    if (p.paused) continue;
    // Before anything is read: what is read moves a position, and must be returned.
    if (p.position) {
      if (auto there = check_overtaken(p, *access); !there) return there.error();
      continue;
    }
    return error{
        errc::no_committed_offset,
        fmt::format("{}: topic '{}' partition {} has no committed offset and the reset policy is none",
                    operation("poll"), p.where.topic, p.where.partition.value())};
  }
  log::batch_builder batch{{options_.poll_records_max, options_.poll_bytes_max}};
  log::log_reader reader{access->main()};
  for (std::size_t i = 0; i < owned_.size() && !batch.full(); ++i) {
    owned_partition& p = owned_[(turn_ + i) % owned_.size()];
    if (p.paused || *p.position >= p.topic->state.end(p.where.partition.value())) continue;
    auto done = reader.read_partition(p.topic->state, p.where.partition.value(), *p.position, batch);
    if (!done) {
      // Deleted since this call looked: the next look tells of it, or takes no notice.
      if (done.error() == errc::unknown_topic) continue;
      // What was read before the damage is delivered first; the error comes when nothing stands before it.
      if (batch.records() > 0) break;
      if (done.error() == errc::overtaken) return check_overtaken(p, *access).error();
      return done.error();
    }
  }
  if (!owned_.empty()) turn_ = (turn_ + 1) % owned_.size();
  note_held();
  if (batch.records() > 0) {
    auto& counted = owner_->counted().reads;
    counted.polls.add();
    counted.records.add(batch.records());
    counted.bytes.add(batch.bytes());
  }
  return batch.finish();
}

std::optional<result<record_batch>> consumer::impl::look(clock::steady_time deadline, waiting may,
                                                         clock::steady_time& next_look) {
  const auto closed_by_host = [this] { return std::exchange(close_afterwards_, false) && (close(), true); };
  if (auto entered = enter("poll"); !entered) return entered.error();
  auto there = check_topics();
  if (closed_by_host()) return enter("poll").error();
  if (!there) return there.error();
  auto followed = follow_group(may);
  if (closed_by_host()) return enter("poll").error();
  if (!followed) return followed.error();
  if (!*followed) {
    // The waiter tells when the change is over. Reading goes on only then; but no longer than asked for.
    if (owner_->time().steady() < deadline) return std::nullopt;
    return log::batch_builder{{options_.poll_records_max, options_.poll_bytes_max}}.finish();
  }
  if (auto placed = place_acquired(); !placed) return placed.error();
  announce();
  if (closed_by_host()) return enter("poll").error();
  auto_commit();
  auto batch = read();
  if (!batch || !batch->empty() || owner_->time().steady() >= deadline || woken_.exchange(false))
    return batch;
  if (!joined_) return std::nullopt;
  const std::lock_guard guard{group_->mutex};
  next_look = std::min(next_look, group_->state.next_deadline());
  return std::nullopt;
}

void consumer::impl::wakeup() noexcept {
  woken_ = true;
  waiter_->signal();
}

result<record_batch> consumer::impl::poll(std::chrono::milliseconds timeout) {
  if (calls_back_)
    return error{errc::would_deadlock, fmt::format("{}: called by what it has called", operation("poll"))};
  const auto deadline = deadline_after(owner_->time(), timeout);
  for (;;) {
    const std::uint64_t seen = waiter_->signals();
    clock::steady_time next_look = deadline;
    if (auto found = look(deadline, waiting::yes, next_look)) return std::move(*found);
    waiter_->wait(owner_->time(), seen, next_look);
  }
}

void consumer::impl::start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                                detail::completion<record_batch> done) {
  const auto deadline = deadline_after(self->owner_->time(), timeout);
  waiting_call<record_batch>::start(
      self->owner_, self->waiter_, deadline,
      [self, deadline](clock::steady_time& next_look) -> std::optional<result<record_batch>> {
        if (self->calls_back_)
          return error{errc::would_deadlock,
                       fmt::format("{}: called by what it has called", self->operation("poll"))};
        return self->look(deadline, waiting::no, next_look);
      },
      std::move(done));
}

}  // namespace levada
