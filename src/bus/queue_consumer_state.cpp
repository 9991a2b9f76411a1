#include "bus/queue_consumer_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bus/pending.hpp"
#include "bus/settle_intent.hpp"
#include "bus/transaction_part.hpp"
#include "bus/waiting_call.hpp"
#include "log/log_reader.hpp"

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
    const auto now = queue_.staged_row ? *queue_.staged_row : queue_.state.row();
    if (now.exposed < now.tail) scope.row_of(queue_).exposed = now.tail;
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
  queue_slot& slot = *self->queue_;
  {
    const std::lock_guard guard{slot.consumers_mutex};
    slot.consumers.push_back(self);
  }
  slot.waiting.add(self->waiter_);
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

result<void> queue_consumer_state::check_open(const char* verb) const {
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

result<void> queue_consumer_state::fetch(const core::access& access) {
  std::size_t want = fetch_entries_max;
  if (options_.prefetch > 0) {
    const std::size_t held = unsettled_.size() + settling_;
    if (held >= options_.prefetch) return {};
    want = std::min<std::size_t>(want, options_.prefetch - held);
  }
  auto taken = queue_->state.take(access.main(), want);
  if (!taken) return taken.error();
  if (taken->empty()) return {};

  log::batch_builder builder{{.records = 0}};
  std::size_t read = 0;
  result<void> outcome{};
  log::log_reader reader{access.main()};
  for (; read < taken->size() && builder.bytes() < fetch_bytes_max; ++read) {
    const queue::reference& where = (*taken)[read].where;
    const auto topic = owner_->find_topic(where.log);
    if (!topic || where.partition >= topic->state.partitions()) {
      outcome = error{errc::damaged, fmt::format("{}: entry {} names a log that does not exist",
                                                 operation("receive"), (*taken)[read].position)};
      break;
    }
    builder.limit_records(read + 1);
    std::uint64_t from = where.offset;
    if (auto done = reader.read_partition(topic->state, where.partition, from, builder, where.offset + 1);
        !done) {
      outcome = done.error();
      break;
    }
    if (builder.records() == read) {
      outcome =
          error{errc::damaged, fmt::format("{}: entry {} names offset {}, which the log does not hold",
                                           operation("receive"), (*taken)[read].position, where.offset)};
      break;
    }
  }
  for (std::size_t i = read; i < taken->size(); ++i) queue_->state.put_back((*taken)[i]);
  const auto bytes = std::make_shared<const record_batch>(builder.finish());
  std::size_t i = 0;
  for (const record_view& view : *bytes) ahead_.push_back({(*taken)[i++], view, bytes});
  // What stands before a damaged message is delivered first.
  if (!ahead_.empty()) return {};
  return outcome;
}

std::optional<result<std::optional<delivery>>> queue_consumer_state::look(clock::steady_time deadline) {
  {
    const auto access = owner_->enter(operation("receive"));
    if (!access) return access.error();
    const std::lock_guard guard{mutex_};
    if (auto open = check_open("receive"); !open) return open.error();
    if (ahead_.empty()) {
      if (auto fetched_some = fetch(*access); !fetched_some) return fetched_some.error();
    }
    if (!ahead_.empty()) {
      fetched next = std::move(ahead_.front());
      ahead_.pop_front();
      const delivery_tag tag{++last_tag_};
      delivery d;
      detail::record_access::fill(d, next.record, std::move(next.bytes), tag, next.entry.redelivered);
      next.entry.redelivered = true;  // should it come back
      unsettled_.emplace(tag, next.entry);
      owner_->counted().queues.delivered.add();
      return std::optional{std::move(d)};
    }
  }
  if (owner_->time().steady() >= deadline) return std::optional<delivery>{};
  return std::nullopt;
}

result<std::optional<delivery>> queue_consumer_state::receive(std::chrono::milliseconds timeout) {
  const auto deadline = deadline_after(owner_->time(), timeout);
  for (;;) {
    const std::uint64_t seen = waiter_->signals();
    if (auto found = look(deadline)) return std::move(*found);
    waiter_->wait(owner_->time(), seen, deadline);
  }
}

void queue_consumer_state::start_receive(std::chrono::milliseconds timeout,
                                         detail::completion<std::optional<delivery>> done) {
  const auto deadline = deadline_after(owner_->time(), timeout);
  waiting_call<std::optional<delivery>>::start(
      owner_, waiter_, deadline,
      [self = shared_from_this(), deadline](clock::steady_time&) { return self->look(deadline); },
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
    if (settled) {
      queue_->state.unacked.fetch_sub(taken.size(), std::memory_order_relaxed);
    } else if (closed_) {
      // The consumer went meanwhile: what it could not settle returns to the queue.
      for (const auto& [tag, entry] : taken) requeue(entry);
    } else {
      unsettled_.merge(taken);
    }
  }
  waiter_->signal();
}

result<void> queue_consumer_state::settle_taken(const core::access& access, const char* verb,
                                                result<entries> taken) {
  if (!taken) return taken.error();
  if (taken->empty()) return {};
  settle_intent settles{*queue_, *taken};
  auto done = owner_->run(access, operation(verb), settles);
  decided(std::move(*taken), done.has_value());
  return done;
}

result<void> queue_consumer_state::settle(const char* verb, std::span<const delivery_tag> tags) {
  // Held to the end: closing the bus notes what is unsettled only after this is decided.
  const auto access = owner_->enter(operation(verb));
  if (!access) return access.error();
  return settle_taken(*access, verb, take(verb, tags));
}

result<void> queue_consumer_state::settle_up_to(const char* verb, delivery_tag tag) {
  const auto access = owner_->enter(operation(verb));
  if (!access) return access.error();
  return settle_taken(*access, verb, take_up_to(verb, tag));
}

/// A settlement that nobody waits for. Closing the bus commits it before it notes what is unsettled.
class queue_consumer_state::submitted_settlement final : public settle_intent {
 public:
  submitted_settlement(std::shared_ptr<queue_consumer_state> consumer, entries taken, pending<void> answer)
      : settle_intent{*consumer->queue_, taken},
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

void queue_consumer_state::start_settle(const char* verb, result<entries> taken,
                                        detail::completion<void> done) {
  pending<void> answer{std::move(done), *owner_};
  if (!taken || taken->empty()) {
    answer.answer(taken ? result<void>{} : taken.error());
    return;
  }
  owner_->submit(operation(verb), std::make_unique<submitted_settlement>(
                                      shared_from_this(), std::move(*taken), std::move(answer)));
}

/// Taken only when the transaction commits: until then it is a delivery like others.
class queue_consumer_state::settle_part final : public transaction_part {
 public:
  settle_part(std::shared_ptr<queue_consumer_state> consumer, const char* verb, delivery_tag tag)
      : consumer_{std::move(consumer)}, verb_{verb}, tag_{tag} {}
  [[nodiscard]] result<void> prepare() override {
    auto taken = consumer_->take(verb_, std::span{&tag_, 1});
    if (!taken) return taken.error();
    taken_ = std::move(*taken);
    intent_.emplace(*consumer_->queue_, taken_);
    return {};
  }
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return intent_->execute(scope); }
  void decided(bool committed) noexcept override {
    if (intent_) consumer_->decided(std::move(taken_), committed);
  }

 private:
  std::shared_ptr<queue_consumer_state> consumer_;
  const char* verb_;
  delivery_tag tag_;
  entries taken_;
  std::optional<settle_intent> intent_;
};

result<std::unique_ptr<transaction_part>> queue_consumer_state::make_part(const char* verb,
                                                                          delivery_tag tag) {
  {
    const std::lock_guard guard{mutex_};
    if (auto open = check_open(verb); !open) return open.error();
    if (auto known = check_unsettled(verb, tag); !known) return known.error();
  }
  return std::unique_ptr<transaction_part>{std::make_unique<settle_part>(shared_from_this(), verb, tag)};
}

void queue_consumer_state::start_put_back(delivery_tag tag, detail::completion<void> done) {
  pending<void> answer{std::move(done), *owner_};
  answer.answer(put_back(tag));
}

result<void> queue_consumer_state::put_back(delivery_tag tag) {
  {
    const auto access = owner_->enter(operation("nack"));
    if (!access) return access.error();
    const std::lock_guard guard{mutex_};
    if (auto open = check_open("nack"); !open) return open;
    if (auto known = check_unsettled("nack", tag); !known) return known;
    const auto found = unsettled_.find(tag);
    requeue(found->second);
    unsettled_.erase(found);
    // A position before those fetched ahead comes first again.
    for (; !ahead_.empty(); ahead_.pop_back()) queue_->state.put_back(ahead_.back().entry);
  }
  queue_->waiting.signal();
  return {};
}

void queue_consumer_state::requeue(const queue::taken_entry& entry) {
  queue_->state.put_back(entry);
  if (!queue_->state.deleted) owner_->counted().queues.requeued.add();
}

void queue_consumer_state::give_back() {
  const std::lock_guard guard{mutex_};
  closed_ = true;
  for (; !ahead_.empty(); ahead_.pop_back()) queue_->state.put_back(ahead_.back().entry);
  for (const auto& [tag, entry] : unsettled_) requeue(entry);
  unsettled_.clear();
}

void queue_consumer_state::close() {
  {
    const std::lock_guard guard{queue_->consumers_mutex};
    const auto found = std::find_if(queue_->consumers.begin(), queue_->consumers.end(),
                                    [this](const auto& c) { return c.get() == this; });
    if (found == queue_->consumers.end()) return;
    const auto self = *found;  // keeps this object while it is taken off the list
    queue_->consumers.erase(found);
    give_back();
  }
  queue_->state.consumers.fetch_sub(1, std::memory_order_acq_rel);
  queue_->waiting.remove(waiter_);
  queue_->waiting.signal();
  waiter_->signal();
}

}  // namespace levada
