// What a consumer of a queue gives back: deliveries, and in the end its place.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "bus/dispatch.hpp"
#include "bus/pending.hpp"
#include "bus/queue_consumer_state.hpp"
#include "bus/topology.hpp"
#include "storage/row.hpp"

namespace levada {

/// Drops what has become too much by a return.
class queue_consumer_state::trimming final : public intent {
 public:
  explicit trimming(std::shared_ptr<queue_slot> queue) : queue_{std::move(queue)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (queue_->state.deleted) return {};
    if (auto trimmed = trim(scope, *queue_); !trimmed) return trimmed;
    return bury(scope);
  }
  void applied(commit_scope&) noexcept override {}

 private:
  const std::shared_ptr<queue_slot> queue_;
};

/// Notes in the flow ledger what has returned without a commit.
class queue_consumer_state::return_note final : public intent {
 public:
  return_note(std::shared_ptr<queue_slot> queue, std::vector<queue::taken_entry> returned)
      : queue_{std::move(queue)}, returned_{std::move(returned)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    for (const auto& entry : returned_)
      scope.owner().ledger().note(scope, *queue_, entry.where, flow_step::returned, entry.delivered);
    return {};
  }
  void applied(commit_scope&) noexcept override {}

 private:
  const std::shared_ptr<queue_slot> queue_;
  const std::vector<queue::taken_entry> returned_;
};

void queue_consumer_state::note_returned(std::vector<queue::taken_entry> returned) const {
  if (!owner_->ledger().on() || returned.empty() || queue_->state.deleted) return;
  owner_->submit(operation("note returns"), std::make_unique<return_note>(queue_, std::move(returned)));
}

/// Notes until when a delivery waits that returns.
class queue_consumer_state::postponing final : public intent {
 public:
  postponing(std::shared_ptr<queue_consumer_state> consumer, delivery_tag tag,
             const queue::taken_entry& entry, std::int64_t due)
      : consumer_{std::move(consumer)}, tag_{tag}, entry_{entry}, due_{due} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    const queue_slot& queue = *consumer_->queue_;
    if (queue.state.deleted)
      return error{errc::closed, fmt::format("queue '{}' is deleted", queue.state.name())};
    // Never too soon, should it be read again.
    constexpr std::int64_t second = 1'000'000;
    constexpr std::int64_t latest = std::numeric_limits<std::uint32_t>::max();
    const auto not_before = static_cast<std::uint32_t>(std::min((due_ + second - 1) / second, latest));
    scope.owner().ledger().note(scope, queue, entry_.where, flow_step::returned, entry_.delivered);
    return scope.written(
        queue::postpone(scope.txn(), scope.tables(), queue.state.id(), entry_.position, not_before));
  }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    if (outcome) {
      const auto& queue = consumer_->queue_;
      queue::taken_entry back = entry_;
      back.delivered = 0;
      queue->state.put_back_at(back, due_);
      consumer_->owner_->attends().look_at(queue, due_);
      consumer_->owner_->counted().queues.requeued.add();
    }
    consumer_->decided({{tag_, entry_}}, outcome.has_value());
    if (answer_) answer_->answer(std::move(outcome));
  }
  /// Who is told.
  void set_answer(pending<void> answer) { answer_.emplace(std::move(answer)); }

 private:
  const std::shared_ptr<queue_consumer_state> consumer_;
  const delivery_tag tag_;
  const queue::taken_entry entry_;
  const std::int64_t due_;
  std::optional<pending<void>> answer_;
};

std::int64_t queue_consumer_state::wait_of(const queue::taken_entry& entry) const {
  const queue_rules& rules = queue_->rules();
  if (!rules.redelivery || queue_->state.exhausted(entry)) return 0;
  const storage::redelivery_trait& delay = *rules.redelivery;
  const int before = std::max<int>(entry.where.deliveries, 1) - 1;
  double wait = static_cast<double>(delay.first) * std::pow(delay.factor, before);
  wait = std::min(wait, static_cast<double>(delay.most));
  // By chance, but for each delivery the same.
  const std::uint64_t chance[] = {queue_->state.id(), entry.position, entry.where.deliveries};
  const auto hash = storage::records_hash(std::as_bytes(std::span{chance}));
  wait *= 1 - delay.jitter * (static_cast<double>(hash >> 11U) * 0x1p-53);
  return std::max<std::int64_t>(std::llround(wait * 1000), 1);
}

result<std::unique_ptr<queue_consumer_state::postponing>> queue_consumer_state::postpone(delivery_tag tag) {
  const std::lock_guard guard{mutex_};
  if (auto open = check_open("nack"); !open) return open.error();
  if (auto known = check_unsettled("nack", tag); !known) return known.error();
  const auto found = unsettled_.find(tag);
  const queue::taken_entry entry = found->second;
  const std::int64_t wait = wait_of(entry);
  if (wait == 0) return std::unique_ptr<postponing>{};
  unsettled_.erase(found);
  ++settling_;
  return std::make_unique<postponing>(shared_from_this(), tag, entry, owner_->bus_time() + wait);
}

void queue_consumer_state::start_put_back(delivery_tag tag, detail::completion<void> done) {
  pending<void> answer{std::move(done), *owner_};
  auto waits = postpone(tag);
  if (!waits) return answer.answer(waits.error());
  if (*waits) {
    (*waits)->set_answer(std::move(answer));
    return owner_->submit(operation("nack"), std::move(*waits));
  }
  auto outcome = take_back(tag);
  if (outcome && needs_trimming(*queue_))
    owner_->submit(operation("nack"), std::make_unique<trimming>(queue_));
  answer.answer(std::move(outcome));
}

result<void> queue_consumer_state::put_back(delivery_tag tag) {
  if (queue_->rules().redelivery) {
    // Held to the end: closing the bus notes what is unsettled only after this is decided.
    const auto access = owner_->enter(operation("nack"));
    if (!access) return access.error();
    auto waits = postpone(tag);
    if (!waits) return waits.error();
    if (*waits) {
      auto done = owner_->run(*access, operation("nack"), **waits);
      (*waits)->finished(done);
      return done;
    }
  }
  if (auto done = take_back(tag); !done || !needs_trimming(*queue_)) return done;
  trimming trims{queue_};
  return owner_->run(operation("nack"), trims);
}

result<void> queue_consumer_state::take_back(delivery_tag tag) {
  std::vector<queue::taken_entry> returned;
  {
    const auto access = owner_->enter(operation("nack"));
    if (!access) return access.error();
    const std::lock_guard guard{mutex_};
    if (auto open = check_open("nack"); !open) return open;
    if (auto known = check_unsettled("nack", tag); !known) return known;
    const auto found = unsettled_.find(tag);
    returned.push_back(found->second);
    requeue(found->second);
    unsettled_.erase(found);
    // A position before those fetched ahead comes first again.
    return_ahead();
    note_room();
    owner_->attends().look_after(*queue_);
  }
  queue_->waiting.signal();
  note_returned(std::move(returned));
  return {};
}

void queue_consumer_state::return_ahead() {
  // Where deliveries are counted, these have been, and are handed out yet.
  for (; !ahead_.empty(); ahead_.pop_back()) queue_->state.put_back(ahead_.back().entry);
  for (; !acquired_.empty(); acquired_.pop_back()) queue_->state.put_back(acquired_.back());
}

void queue_consumer_state::requeue(queue::taken_entry entry) {
  entry.delivered = 0;  // nobody has it any more
  queue_->state.put_back(entry);
  if (!queue_->state.deleted) owner_->counted().queues.requeued.add();
}

std::vector<queue::taken_entry> queue_consumer_state::give_back() {
  std::vector<queue::taken_entry> returned;
  const std::lock_guard guard{mutex_};
  closed_ = true;
  return_ahead();
  for (const auto& [tag, entry] : unsettled_) {
    requeue(entry);
    returned.push_back(entry);
  }
  unsettled_.clear();
  note_room();
  if (scope_) scope_->remove(waiter_);
  return returned;
}

void queue_consumer_state::stop_taking() {
  {
    const std::lock_guard guard{mutex_};
    cancelled_ = true;
    return_ahead();
    note_room();
  }
  queue_->waiting.signal();
  waiter_->signal();
}

void queue_consumer_state::leave(parting how) {
  bool first = false;
  std::shared_ptr<queue_consumer_state> self;  // keeps this object while it is taken off the list
  std::vector<queue::taken_entry> returned;
  {
    const std::lock_guard guard{queue_->consumers_mutex};
    const auto found = std::find_if(queue_->consumers.begin(), queue_->consumers.end(),
                                    [this](const auto& c) { return c.get() == this; });
    if (found == queue_->consumers.end() || (how == parting::with_deliveries && left_)) return;
    self = *found;
    first = !std::exchange(left_, true);
    if (how == parting::without) queue_->consumers.erase(found);
    arrange(*queue_);
    if (how == parting::without) returned = give_back();
  }
  if (how == parting::with_deliveries) stop_taking();
  bool last = false;
  if (first) {
    owner_->attends().note_use(*queue_);
    last = queue_->state.consumers.fetch_sub(1, std::memory_order_acq_rel) == 1;
    queue_->waiting.remove(waiter_);
  }
  queue_->waiting.signal();
  waiter_->signal();
  note_returned(std::move(returned));
  if (last && queue_->declared.auto_delete) return delete_unused();
  if (needs_trimming(*queue_)) owner_->submit(operation("close"), std::make_unique<trimming>(queue_));
  if (queue_->attended || (last && queue_->rules().expires)) owner_->attends().look_soon(queue_);
}

void queue_consumer_state::delete_unused() {
  const auto done = delete_queue(*owner_, *queue_, {.if_unused = true});
  if (done || done.error() != errc::would_deadlock) return;
  // In the middle of a commit, which this is, it cannot be done.
  static_cast<void>(owner_->calls().post([self = shared_from_this()] { self->delete_unused(); }));
}

}  // namespace levada
