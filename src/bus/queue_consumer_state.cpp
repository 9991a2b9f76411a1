#include "bus/queue_consumer_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bus/dispatch.hpp"
#include "bus/messages.hpp"
#include "bus/pending.hpp"
#include "bus/settle_intent.hpp"
#include "bus/transaction_part.hpp"
#include "bus/waiting_call.hpp"

namespace levada {
namespace {

/// Deliveries fetched in one go, and the bytes after which fetching stops.
constexpr std::size_t fetch_entries_max = 64;
constexpr std::size_t fetch_bytes_max = std::size_t{1} << 20;

/// Notes that all entries of a queue may be delivered from now on. Takes its turn among the commits, as one
/// that is under way may append without having seen the new consumer; costs no flush where there is nothing
/// to note.
class expose_intent final : public intent {
 public:
  explicit expose_intent(queue_slot& queue) : queue_{queue} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (queue_.state.deleted) return error{errc::closed, "the queue is deleted"};
    const auto now = queue_.staged_row ? *queue_.staged_row : queue_.state.row();
    if (!now.all_exposed()) scope.row_of(queue_).expose_all();
    return {};
  }
  void applied(commit_scope&) noexcept override {}

 private:
  queue_slot& queue_;
};

}  // namespace

result<std::shared_ptr<queue_consumer_state>> queue_consumer_state::start(
    std::shared_ptr<core> owner, std::shared_ptr<queue_slot> queue, const queue_consumer_options& options) {
  auto self = std::make_shared<queue_consumer_state>(std::move(owner), std::move(queue), options);
  if (options.timeout && options.timeout->count() < 1) {
    return error{errc::invalid_argument,
                 fmt::format("{}: timeout is at least 1 ms", self->operation("consume"))};
  }
  queue_slot& slot = *self->queue_;
  {
    const std::lock_guard guard{slot.consumers_mutex};
    slot.consumers.push_back(self);
    arrange(slot);
  }
  slot.waiting.add(self->waiter_);
  if (self->scope_) self->scope_->add(self->waiter_, self->queue_);
  slot.state.consumers.fetch_add(1, std::memory_order_acq_rel);
  expose_intent expose{slot};
  if (auto done = self->owner_->run(self->operation("consume"), expose); !done) {
    self->close();
    return done.error();
  }
  return self;
}

std::string queue_consumer_state::operation(const char* verb) const {
  return fmt::format("{} from queue '{}'", verb, queue_->state.name());
}

void queue_consumer_state::arrange(queue_slot& queue) {
  std::vector<std::shared_ptr<queue_consumer_state>> all;
  std::copy_if(queue.consumers.begin(), queue.consumers.end(), std::back_inserter(all),
               [](const auto& c) { return !c->left_; });
  const auto comes_after = [](const auto& a, const auto& b) {
    return a->options_.priority < b->options_.priority;
  };
  queue.prioritised = std::adjacent_find(all.begin(), all.end(), [](const auto& a, const auto& b) {
                        return a->options_.priority != b->options_.priority;
                      }) != all.end();
  if (!queue.declared.single_active_consumer || all.empty()) return;
  // Whoever is active stays so (as in RabbitMQ), until it goes.
  if (std::find(all.begin(), all.end(), queue.active.lock()) == all.end())
    queue.active = *std::max_element(all.begin(), all.end(), comes_after);
}

std::size_t queue_consumer_state::share_of_ready() const {
  constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
  if (!queue_->declared.single_active_consumer && !queue_->prioritised) return all;
  const std::lock_guard guard{queue_->consumers_mutex};
  if (queue_->declared.single_active_consumer) return queue_->active.lock().get() == this ? all : 0;
  // What those before it have room for is theirs, whether they ask for it now or later: in RabbitMQ it would
  // be sent to them.
  std::uint64_t left = queue_->state.ready().messages;
  for (const auto& other : queue_->consumers) {
    if (other->options_.priority > options_.priority) left -= std::min(left, other->room());
  }
  return left;
}

std::uint64_t queue_consumer_state::room() const {
  return scope_ ? std::min(room_.load(), scope_->left()) : room_.load();
}

void queue_consumer_state::note_room() noexcept {
  const std::uint64_t held = unsettled_.size() + settling_ + ahead_.size() + acquired_.size() + acquiring_;
  if (closed_ || cancelled_) {
    room_ = 0;
  } else if (options_.prefetch > 0) {
    room_ = options_.prefetch - std::min<std::uint64_t>(options_.prefetch, held);
  }
  if (scope_ && held < scope_places_) {
    scope_->give_places(scope_places_ - held);
    scope_places_ = held;
  }
}

std::size_t queue_consumer_state::unsettled() const {
  const std::lock_guard guard{mutex_};
  return unsettled_.size() + settling_;
}

result<void> queue_consumer_state::check_open(const char* verb) const {
  if (timed_out_) {
    return error{errc::consumer_timed_out,
                 fmt::format("{}: a delivery was not settled for {} ms, so the consumer was closed",
                             operation(verb), options_.timeout->count())};
  }
  if (closed_ || queue_->state.deleted) {
    return error{errc::closed, fmt::format("{}: the {} is closed", operation(verb),
                                           queue_->state.deleted ? "queue" : "consumer")};
  }
  return {};
}

result<void> queue_consumer_state::check_unsettled(const char* verb, delivery_tag tag) const {
  if (unsettled_.contains(tag)) return {};
  return error{errc::unknown_delivery,
               fmt::format("{}: there is no unsettled delivery with tag {}", operation(verb), tag.value())};
}

/// Counts that entries are handed out, before they are.
class queue_consumer_state::acquisition final : public intent {
 public:
  acquisition(std::shared_ptr<queue_consumer_state> consumer, std::vector<queue::taken_entry> taken)
      : consumer_{std::move(consumer)}, taken_{std::move(taken)} {
    for (const auto& entry : taken_) {
      if (!entry.counted) positions_.push_back(entry.position);
    }
    std::sort(positions_.begin(), positions_.end());
  }
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    const queue_slot& queue = *consumer_->queue_;
    if (queue.state.deleted) return {};
    return scope.written(queue::count_deliveries(scope.txn(), scope.tables(), queue.state.id(), positions_));
  }
  void applied(commit_scope&) noexcept override {
    for (auto& entry : taken_) {
      if (!std::exchange(entry.counted, true)) ++entry.where.deliveries;
    }
  }
  void finished(result<void> outcome) noexcept override {
    consumer_->acquired(std::move(taken_), std::move(outcome));
  }

 private:
  const std::shared_ptr<queue_consumer_state> consumer_;
  std::vector<queue::taken_entry> taken_;
  std::vector<std::uint64_t> positions_;
};

result<std::vector<queue::taken_entry>> queue_consumer_state::take_some(const core::access& access,
                                                                        std::size_t most) {
  std::size_t want = std::min(fetch_entries_max, most);
  if (options_.prefetch > 0) {
    const std::size_t held = unsettled_.size() + settling_;
    if (held >= options_.prefetch) return std::vector<queue::taken_entry>{};
    want = std::min<std::size_t>(want, options_.prefetch - held);
  }
  if (scope_) {
    // No more than is handed out at once: what it has ahead would be a place that another cannot have.
    if (want == 0 || !scope_->take_place()) return std::vector<queue::taken_entry>{};
    ++scope_places_;
    want = 1;
  }
  auto taken = queue_->state.take(access.main(), want, owner_->bus_time());
  owner_->attends().look_after(*queue_);
  if (queue_->backfill_left > 0) owner_->backfills().look_soon(*queue_);  // there may be room now
  if (scope_ && taken && !taken->empty()) scope_->pass_on();
  return taken;
}

result<void> queue_consumer_state::fetch(const core::access& access,
                                         const std::vector<queue::taken_entry>& taken) {
  if (taken.empty()) return {};
  std::vector<queue::reference> which;
  which.reserve(taken.size());
  for (const auto& entry : taken) which.push_back(entry.where);
  auto outcome = read_messages(*owner_, access.main(), receiving_, which, fetch_bytes_max);
  for (std::size_t i = outcome.read; i < taken.size(); ++i) queue_->state.put_back(taken[i]);
  const auto bytes = std::make_shared<const record_batch>(std::move(outcome.messages));
  std::size_t i = 0;
  for (const record_view& view : *bytes) ahead_.push_back({taken[i++], view, bytes});
  // What stands before a damaged message is delivered first.
  if (!ahead_.empty()) return {};
  return outcome.ended;
}

void queue_consumer_state::acquired(std::vector<queue::taken_entry> taken, result<void> outcome) noexcept {
  {
    const std::lock_guard guard{mutex_};
    acquiring_ = 0;
    if (!outcome || closed_ || cancelled_) {
      for (const auto& entry : taken) queue_->state.put_back(entry);
      if (!outcome) not_acquired_ = outcome.error();
    } else {
      acquired_ = std::move(taken);
    }
    note_room();
  }
  waiter_->signal();
}

queue_consumer_state::finding queue_consumer_state::look(clock::steady_time deadline) {
  finding found;
  std::vector<queue::taken_entry> to_acquire;
  {
    const auto access = owner_->enter(receiving_);
    if (!access) return {access.error(), false};
    const std::size_t most = share_of_ready();
    const std::lock_guard guard{mutex_};
    if (auto open = check_open("receive"); !open) return {open.error(), false};
    if (cancelled_) {
      return {error{errc::closed, fmt::format("{}: the consumer has been cancelled", receiving_)}, false};
    }
    if (not_acquired_) return {*std::exchange(not_acquired_, std::nullopt), false};
    if (ahead_.empty() && acquiring_ == 0) {
      auto taken = acquired_.empty() ? take_some(*access, most)
                                     : result<std::vector<queue::taken_entry>>{std::exchange(acquired_, {})};
      if (!taken) {
        note_room();
        return {taken.error(), false};
      }
      const bool counted = std::all_of(taken->begin(), taken->end(), [](const auto& e) { return e.counted; });
      if (queue_->counts_deliveries() && !counted) {
        acquiring_ = taken->size();
        to_acquire = std::move(*taken);
      } else if (auto fetched_some = fetch(*access, *taken); !fetched_some) {
        note_room();
        return {fetched_some.error(), false};
      }
      note_room();
    }
    if (!ahead_.empty()) return {hand_out(), false};
    found.acquiring = acquiring_ > 0;
  }
  // Not while the store is held.
  if (!to_acquire.empty()) {
    owner_->submit(receiving_, std::make_unique<acquisition>(shared_from_this(), std::move(to_acquire)));
  }
  if (!found.acquiring && owner_->time().steady() >= deadline) found.answer = std::optional<delivery>{};
  return found;
}

std::optional<delivery> queue_consumer_state::hand_out() {
  fetched next = std::move(ahead_.front());
  ahead_.pop_front();
  const delivery_tag tag{++last_tag_};
  const queue::reference& where = next.entry.where;
  delivery d;
  detail::record_access::fill(d, next.record, std::move(next.bytes), tag,
                              next.entry.redelivered || where.deliveries > 1, where.deliveries);
  next.entry.redelivered = true;  // should it come back
  next.entry.counted = false;
  if (owner_->ledger().on()) next.entry.delivered = owner_->bus_time();
  unsettled_.emplace_hint(unsettled_.end(), tag, next.entry);
  note_deadline(tag);
  owner_->counted().queues.delivered.add();
  return d;
}

void queue_consumer_state::note_deadline(delivery_tag tag) {
  if (!options_.timeout) return;
  // Most are settled long before.
  if (deadlines_.size() > 2 * unsettled_.size() + fetch_entries_max)
    std::erase_if(deadlines_, [this](const auto& d) { return !unsettled_.contains(d.first); });
  deadlines_.emplace_back(tag, deadline_after(owner_->time(), *options_.timeout));
  watch_deadlines();
}

void queue_consumer_state::watch_deadlines() {
  if (watched_ || closed_ || deadlines_.empty()) return;
  watched_ = true;
  static_cast<void>(owner_->errands().ring(deadlines_.front().second, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->look_at_deadlines();
  }));
}

void queue_consumer_state::look_at_deadlines() {
  {
    const std::lock_guard guard{mutex_};
    watched_ = false;
    while (!deadlines_.empty() && !unsettled_.contains(deadlines_.front().first)) deadlines_.pop_front();
    if (closed_ || deadlines_.empty()) return;
    if (owner_->time().steady() < deadlines_.front().second) return watch_deadlines();
    timed_out_ = true;
  }
  // That may take a commit, which this thread does not wait for.
  static_cast<void>(owner_->calls().post([self = shared_from_this()] { self->close(); }));
  waiter_->signal();
}

result<std::optional<delivery>> queue_consumer_state::receive(std::chrono::milliseconds timeout) {
  const auto deadline = deadline_after(owner_->time(), timeout);
  for (;;) {
    const std::uint64_t seen = waiter_->signals();
    auto found = look(deadline);
    if (found.answer) return std::move(*found.answer);
    // A commit that is under way comes to an end.
    waiter_->wait(owner_->time(), seen, found.acquiring ? clock::steady_time::max() : deadline);
  }
}

void queue_consumer_state::start_receive(std::chrono::milliseconds timeout,
                                         detail::completion<std::optional<delivery>> done) {
  const auto deadline = deadline_after(owner_->time(), timeout);
  waiting_call<std::optional<delivery>>::start(
      owner_, waiter_, deadline,
      [self = shared_from_this(), deadline](clock::steady_time& next) {
        auto found = self->look(deadline);
        if (found.acquiring) next = clock::steady_time::max();
        return std::move(found.answer);
      },
      std::move(done));
}

result<queue_consumer_state::entries> queue_consumer_state::take(const char* verb,
                                                                 std::span<const delivery_tag> tags) {
  const std::lock_guard guard{mutex_};
  if (auto open = check_open(verb); !open) return open.error();
  entries taken;
  for (const delivery_tag tag : tags) {
    if (auto known = check_unsettled(verb, tag); !known) return known.error();
    taken.emplace(tag, unsettled_.at(tag));
  }
  for (const auto& [tag, entry] : taken) unsettled_.erase(tag);
  settling_ += taken.size();
  return taken;
}

result<queue_consumer_state::entries> queue_consumer_state::take_up_to(const char* verb, delivery_tag tag) {
  const std::lock_guard guard{mutex_};
  if (auto open = check_open(verb); !open) return open.error();
  if (auto known = check_unsettled(verb, tag); !known) return known.error();
  const auto beyond = unsettled_.upper_bound(tag);
  entries taken{unsettled_.begin(), beyond};
  unsettled_.erase(unsettled_.begin(), beyond);
  settling_ += taken.size();
  return taken;
}

void queue_consumer_state::decided(entries taken, bool settled) {
  {
    const std::lock_guard guard{mutex_};
    settling_ -= taken.size();
    if (!settled && closed_) {
      // The consumer went meanwhile: what it could not settle returns to the queue.
      for (const auto& [tag, entry] : taken) requeue(entry);
    } else if (!settled) {
      for (const auto& [tag, entry] : taken) note_deadline(tag);
      unsettled_.merge(taken);
    }
    note_room();
  }
  waiter_->signal();
}

result<void> queue_consumer_state::settle_taken(const core::access& access, settling how,
                                                result<entries> taken) {
  if (!taken) return taken.error();
  if (taken->empty()) return {};
  settle_intent settles{*queue_, *taken, how};
  auto done = owner_->run(access, operation(verb_of(how)), settles);
  decided(std::move(*taken), done.has_value());
  return done;
}

result<void> queue_consumer_state::settle(settling how, std::span<const delivery_tag> tags) {
  // Held to the end: closing the bus notes what is unsettled only after this is decided.
  const auto access = owner_->enter(operation(verb_of(how)));
  if (!access) return access.error();
  return settle_taken(*access, how, take(verb_of(how), tags));
}

result<void> queue_consumer_state::settle_up_to(settling how, delivery_tag tag) {
  const auto access = owner_->enter(operation(verb_of(how)));
  if (!access) return access.error();
  return settle_taken(*access, how, take_up_to(verb_of(how), tag));
}

/// A settlement that nobody waits for. Closing the bus commits it before it notes what is unsettled.
class queue_consumer_state::submitted_settlement final : public settle_intent {
 public:
  submitted_settlement(std::shared_ptr<queue_consumer_state> consumer, entries taken, settling how,
                       pending<void> answer)
      : settle_intent{*consumer->queue_, taken, how},
        consumer_{std::move(consumer)},
        taken_{std::move(taken)},
        answer_{std::move(answer)} {}
  void finished(result<void> outcome) noexcept override {
    consumer_->decided(std::move(taken_), outcome.has_value());
    answer_.answer(std::move(outcome));
  }

 private:
  std::shared_ptr<queue_consumer_state> consumer_;
  entries taken_;
  pending<void> answer_;
};

void queue_consumer_state::start_settle(settling how, result<entries> taken, detail::completion<void> done) {
  pending<void> answer{std::move(done), *owner_};
  if (!taken || taken->empty()) {
    answer.answer(taken ? result<void>{} : taken.error());
    return;
  }
  owner_->submit(operation(verb_of(how)), std::make_unique<submitted_settlement>(
                                              shared_from_this(), std::move(*taken), how, std::move(answer)));
}

/// Taken only when the transaction commits: until then it is a delivery like others.
class queue_consumer_state::settle_part final : public transaction_part {
 public:
  settle_part(std::shared_ptr<queue_consumer_state> consumer, settling how, delivery_tag tag)
      : consumer_{std::move(consumer)}, how_{how}, tag_{tag} {}
  [[nodiscard]] result<void> prepare() override {
    auto taken = consumer_->take(verb_of(how_), std::span{&tag_, 1});
    if (!taken) return taken.error();
    taken_ = std::move(*taken);
    intent_.emplace(*consumer_->queue_, taken_, how_);
    return {};
  }
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return intent_->execute(scope); }
  void decided(bool committed) noexcept override {
    if (intent_) consumer_->decided(std::move(taken_), committed);
  }

 private:
  std::shared_ptr<queue_consumer_state> consumer_;
  settling how_;
  delivery_tag tag_;
  entries taken_;
  std::optional<settle_intent> intent_;
};

result<std::unique_ptr<transaction_part>> queue_consumer_state::make_part(settling how, delivery_tag tag) {
  {
    const std::lock_guard guard{mutex_};
    if (auto open = check_open(verb_of(how)); !open) return open.error();
    if (auto known = check_unsettled(verb_of(how), tag); !known) return known.error();
  }
  return std::unique_ptr<transaction_part>{std::make_unique<settle_part>(shared_from_this(), how, tag)};
}

}  // namespace levada
