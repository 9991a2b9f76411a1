#include "bus/producer_impl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <system_error>

#include "bus/names.hpp"
#include "bus/publish_batch_impl.hpp"
#include "bus/simple_intent.hpp"
#include "log/producer_table.hpp"

namespace levada {
namespace {

constexpr std::chrono::hours linger_max{24};

result<void> check_producer_options(const std::string& operation, const producer_options& options) {
  const auto refuse = [&](const std::string& why) {
    return error{errc::invalid_argument, fmt::format("{}: {}", operation, why)};
  };
  if (options.linger < std::chrono::microseconds::zero() || options.linger > linger_max)
    return refuse(fmt::format("linger is {} us, allowed is 0 to a day", options.linger.count()));
  if (options.batch_bytes == 0 || options.batch_bytes > batch_bytes_max) {
    return refuse(fmt::format("batch_bytes is {}, allowed is 1 to {}", options.batch_bytes, batch_bytes_max));
  }
  if (options.buffer_bytes_max == 0) return refuse("buffer_bytes_max is 0, the least is 1");
  for (const auto& interceptor : options.interceptors) {
    if (!interceptor) return refuse("an interceptor is empty");
  }
  return {};
}

/// Calls the host's code; what it throws becomes an error.
template <class Function>
result<void> guarded(const std::string& operation, const char* what, Function function) {
  try {
    function();
    return {};
  } catch (const std::exception& e) {
    return error{errc::invalid_argument, fmt::format("{}: {} has thrown: {}", operation, what, e.what())};
  } catch (...) {
    return error{errc::invalid_argument, fmt::format("{}: {} has thrown", operation, what)};
  }
}

}  // namespace

/// A record that has been looked at, and can be encoded. Borrows what it was made of.
class producer::impl::prepared_record {
 public:
  [[nodiscard]] result<void> prepare(const impl& by, const record& r) {
    if (auto there = by.owner_->check_open(by.operation_); !there) return there;
    what_ = &r;
    if (!by.options_.interceptors.empty()) {
      changed_ = r;
      what_ = &*changed_;
      for (const auto& interceptor : by.options_.interceptors) {
        auto done = guarded(by.operation_, "an interceptor", [&] { interceptor(*changed_); });
        if (!done) return done;
      }
    }
    auto extras = log::encode_extras({}, *what_);
    if (!extras) return extras.error();
    extras_ = std::move(*extras);
    auto source = log::source_of(*what_, extras_);
    if (!source) return source.error();
    source_ = *source;
    set_time(*by.owner_, by.topic_->state, source_);
    return check_record_size(by.operation_, source_.size(), by.owner_->options().record_bytes_max);
  }
  [[nodiscard]] const record& what() const noexcept { return *what_; }
  [[nodiscard]] const log::record_source& source() const noexcept { return source_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return detail::padded(source_.size()); }

 private:
  std::optional<record> changed_;
  const record* what_ = nullptr;
  std::string extras_;
  log::record_source source_;
};

producer::impl::impl(std::shared_ptr<core> owner, std::shared_ptr<topic_slot> topic,
                     const producer_options& options)
    : owner_{std::move(owner)},
      topic_{std::move(topic)},
      options_{options},
      partitioner_{options.partitioner ? options.partitioner : key_partitioner()},
      operation_{append_operation(topic_->state)},
      producer_{options.id, 0},
      places_(topic_->state.partitions()) {}

result<std::shared_ptr<producer::impl>> producer::impl::make(std::shared_ptr<core> owner,
                                                             std::shared_ptr<topic_slot> topic,
                                                             const producer_options& options) {
  const std::string operation = fmt::format("make producer to topic '{}'", topic->state.name());
  if (auto checked = check_producer_options(operation, options); !checked) return checked.error();
  if (!options.id.empty()) {
    if (auto checked = check_name(operation, "producer", options.id); !checked) return checked.error();
  }
  auto self = std::make_shared<impl>(std::move(owner), std::move(topic), options);
  core& bus = *self->owner_;
  if (!options.id.empty()) {
    const topic_slot& slot = *self->topic_;
    log::producer_state state;
    simple_intent taking_over{
        [&](commit_scope& scope) -> result<void> {
          if (slot.state.deleted()) return topic_is_deleted(slot.state);
          auto stored = log::read_producer(scope.txn(), scope.tables(), slot.state.id(), options.id);
          if (!stored) return stored.error();
          state = stored->value_or(log::producer_state{});
          ++state.epoch;
          state.time = scope.now();
          return scope.written(
              log::write_producer(scope.txn(), scope.tables(), slot.state.id(), options.id, state));
        },
        nothing_to_apply};
    if (auto done = bus.run(operation, taking_over); !done) return done.error();
    self->producer_.epoch = state.epoch;
    self->stored_ = self->sent_ = state.last_sequence;
  }
  if (options.on_failure) {
    try {
      static_cast<void>(bus.executor());  // so that it is there when it is wanted
    } catch (const std::system_error& e) {
      return error{errc::out_of_resources, fmt::format("{}: {}", operation, e.what())};
    }
  }
  bus.add(self);
  return self;
}

error producer::impl::refuse(errc code, const std::string& why) const {
  return {code, fmt::format("{}: {}", operation_, why)};
}

result<void> producer::impl::check_open() const {
  if (auto there = owner_->check_open(operation_); !there) return there;
  return check_usable();
}

result<void> producer::impl::check_usable() const {
  if (closed_) return refuse(errc::closed, "the producer is closed");
  if (ended_) return refuse(errc::closed, ended_->message());
  if (fenced_) return *fenced_;
  if (topic_->state.deleted()) return refuse(errc::unknown_topic, "the topic has been deleted");
  return {};
}

result<void> producer::impl::check_waiting() const {
  // That it is closed is for others to say.
  if (auto there = owner_->check_open(operation_); !there && there.error() != errc::closed) return there;
  if (!owner_->inside_own_thread()) return {};
  return refuse(errc::would_deadlock, "called by a handler in the bus's own thread, which must not wait");
}

result<std::uint64_t> producer::impl::next_sequence(std::optional<producer_sequence> wanted) const {
  if (producer_.id.empty()) {
    if (!wanted) return std::uint64_t{0};
    return refuse(errc::invalid_argument, "a sequence is given, and the producer has no id");
  }
  if (wanted && wanted->value() == 0) return refuse(errc::invalid_argument, "sequences begin with 1");
  if (wanted && wanted->value() <= stored_) {
    return refuse(errc::duplicate_sequence, fmt::format("sequence {} of producer '{}': {} is stored already",
                                                        wanted->value(), producer_.id, stored_));
  }
  if (broken_) {
    return refuse(errc::out_of_order_sequence,
                  fmt::format("producer '{}': a record before could not be stored", producer_.id));
  }
  if (wanted && wanted->value() <= sent_) {
    return refuse(errc::out_of_order_sequence,
                  fmt::format("sequence {} of producer '{}': {} is under way already", wanted->value(),
                              producer_.id, sent_));
  }
  if (wanted && failed_from_ && wanted->value() > *failed_from_) {
    return refuse(errc::out_of_order_sequence,
                  fmt::format("sequence {} of producer '{}': {} could not be stored, and was not sent again",
                              wanted->value(), producer_.id, *failed_from_));
  }
  if (!wanted && sent_ == UINT64_MAX)
    return refuse(errc::out_of_order_sequence,
                  fmt::format("producer '{}': {} was the last", producer_.id, sent_));
  return wanted ? wanted->value() : sent_ + 1;
}

result<std::uint64_t> producer::impl::make_room(unique_lock& lock, std::size_t bytes,
                                                std::optional<producer_sequence> wanted, when_full full) {
  for (;;) {
    if (auto usable = check_usable(); !usable) return usable.error();
    const auto sequence = next_sequence(wanted);
    if (!sequence || fits(bytes)) return sequence;
    // What is collected makes room only when it goes, and others may collect meanwhile.
    if (collecting_) {
      seal();
      submit_sealed(lock);
      continue;
    }
    if (full == when_full::refuse) {
      return refuse(errc::would_block,
                    fmt::format("{} bytes are under way, of {} allowed", bytes_, options_.buffer_bytes_max));
    }
    if (auto may = check_waiting(); !may) return may.error();
    changed_.wait(lock);
  }
}

result<partition_id> producer::impl::choose(const record& r) {
  const std::uint32_t partitions = topic_->state.partitions();
  partition_id chosen;
  auto done = guarded(operation_, "the partitioner", [&] { chosen = partitioner_->choose(r, partitions); });
  if (!done) return done.error();
  if (chosen.value() >= partitions) return unknown_partition(topic_->state, chosen);
  return chosen;
}

producer::impl::batch_pointer producer::impl::begin_batch() {
  auto batch = std::make_shared<producer_batch>();
  batch->number = last_number_ + 1;
  batch->sequences = {sent_, sent_ + 1, sent_};
  under_way_.insert(batch->number);
  ++last_number_;
  ++unfinished_;
  return batch;
}

result<producer::impl::added_record> producer::impl::add(unique_lock& lock,
                                                         std::optional<producer_sequence> wanted,
                                                         const prepared_record& r, when_full full) {
  const auto sequence = make_room(lock, r.bytes(), wanted, full);
  if (!sequence) return sequence.error();
  if (collecting_ && collecting_->bytes + r.bytes() > options_.batch_bytes) seal();
  const auto partition = choose(r.what());
  if (!partition) return partition.error();
  if (!collecting_) {
    collecting_ = begin_batch();
    collecting_->sequences.first = *sequence;
    if (options_.linger > std::chrono::microseconds::zero()) {
      collecting_->since = owner_->time().steady();
      ring_when_due();
    }
  }
  producer_batch& batch = *collecting_;
  std::size_t& place = places_[partition->value()];
  if (place == 0) {
    if (spare_.empty()) {
      batch.encoders.emplace_back(topic_->state.id(), partition->value());
    } else {
      spare_bytes_ -= spare_.back().capacity();
      batch.encoders.push_back(std::move(spare_.back()));
      spare_.pop_back();
      batch.encoders.back().begin_anew(partition->value());
    }
    place = batch.encoders.size();
  }
  log::row_encoder& rows = batch.encoders[place - 1];
  const added_record added{collecting_.get(), {place - 1, rows.records(), *partition, r.source().time}};
  rows.add(r.source());
  batch.bytes += r.bytes();
  bytes_ += r.bytes();
  batch.sequences.last = *sequence;
  failed_from_.reset();
  sent_ = *sequence;
  if (batch.bytes >= options_.batch_bytes || options_.linger == std::chrono::microseconds::zero()) seal();
  return added;
}

result<producer::impl::batch_pointer> producer::impl::add(unique_lock& lock, publish_batch& batch,
                                                          when_full full) {
  if (auto first = make_room(lock, batch.bytes(), std::nullopt, full); !first) return first.error();
  if (!producer_.id.empty() && batch.size() > UINT64_MAX - sent_)
    return refuse(errc::out_of_order_sequence,
                  fmt::format("producer '{}': no sequences are left", producer_.id));
  seal();
  auto begun = begin_batch();
  begun->whole_rows = batch.impl_->finish();
  begun->bytes = batch.bytes();
  bytes_ += begun->bytes;
  if (!producer_.id.empty()) {
    sent_ += batch.size();
    begun->sequences.last = sent_;
  }
  failed_from_.reset();
  begun->append.emplace(*topic_, begun->whole_rows, begun->bytes);
  sealed_.push_back(begun);
  return begun;
}

void producer::impl::seal() {
  if (!collecting_) return;
  std::vector<log::row_encoder*> rows;
  for (auto& encoder : collecting_->encoders) {
    encoder.finish();
    rows.push_back(&encoder);
    places_[encoder.partition()] = 0;
  }
  collecting_->append.emplace(*topic_, std::move(rows), collecting_->bytes);
  sealed_.push_back(std::move(collecting_));
  collecting_.reset();
  partitioner_->batch_ended();
}

void producer::impl::submit_sealed(unique_lock& lock, group_commit::led_by who) {
  if (submitting_) return;  // who does takes these too
  submitting_ = true;
  while (!sealed_.empty()) {
    auto batch = std::move(sealed_.front());
    sealed_.pop_front();
    lock.unlock();
    owner_->submit(operation_,
                   std::make_unique<producer_append>(
                       topic_, producer_, std::move(batch),
                       [self = shared_from_this()](const batch_pointer& of, result<void> outcome) {
                         self->finish(of, std::move(outcome));
                       }),
                   who);
    lock.lock();
  }
  submitting_ = false;
}

void producer::impl::ring_when_due() {
  if (bell_) return;
  bell_ = true;
  static_cast<void>(owner_->errands().ring(collecting_->since + options_.linger, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->linger_passed();
  }));
}

void producer::impl::linger_passed() {
  unique_lock lock{mutex_};
  bell_ = false;
  if (!collecting_) return;
  if (owner_->time().steady() < collecting_->since + options_.linger) {
    ring_when_due();
  } else {
    seal();
    submit_sealed(lock);
  }
}

template <class Done>
void producer::impl::wait(unique_lock& lock, Done done) {
  submit_sealed(lock, group_commit::led_by::caller);
  for (;;) {
    // Also where it is done by now: it may have submitted what others wait for.
    lock.unlock();
    owner_->lead_some();
    lock.lock();
    if (done()) return;
    changed_.wait(lock);
    if (done()) return;
  }
}

result<void> producer::impl::send(std::optional<producer_sequence> sequence, const record& r,
                                  when_full full) {
  prepared_record prepared;
  if (auto done = prepared.prepare(*this, r); !done) return done;
  unique_lock lock{mutex_};
  auto added = add(lock, sequence, prepared, full);
  if (added) ++added->batch->unawaited;
  submit_sealed(lock);
  return added ? result<void>{} : added.error();
}

void producer::impl::start_send(std::optional<producer_sequence> sequence, const record& r,
                                detail::completion<publish_receipt> done) {
  pending<publish_receipt> answer{std::move(done), *owner_};
  prepared_record prepared;
  if (auto ready = prepared.prepare(*this, r); !ready) {
    answer.answer(ready.error());
    return;
  }
  unique_lock lock{mutex_};
  auto added = add(lock, sequence, prepared, when_full::refuse);
  if (added) added->batch->awaited.push_back({std::move(answer), added->where});
  submit_sealed(lock);
  lock.unlock();
  if (!added) answer.answer(added.error());
}

result<publish_receipt> producer::impl::publish(std::optional<producer_sequence> sequence, const record& r) {
  if (auto may = check_waiting(); !may) return may.error();
  prepared_record prepared;
  if (auto done = prepared.prepare(*this, r); !done) return done.error();
  unique_lock lock{mutex_};
  const auto added = add(lock, sequence, prepared, when_full::wait);
  if (!added) {
    submit_sealed(lock);
    return added.error();
  }
  const auto batch = added->batch->shared_from_this();
  seal();
  wait(lock, [&] { return batch->answered; });
  if (!batch->outcome) return batch->outcome.error();
  return batch->receipt(topic_->state, added->where);
}

result<batch_receipt> producer::impl::publish(publish_batch& batch) {
  if (auto may = check_waiting(); !may) return may.error();
  if (auto fitting = batch.impl_->check_target(*topic_); !fitting) return fitting.error();
  unique_lock lock{mutex_};
  const auto added = add(lock, batch, when_full::wait);
  if (!added) return added.error();
  const producer_batch& begun = **added;
  wait(lock, [&] { return begun.answered; });
  if (!begun.outcome) return begun.outcome.error();
  auto receipt = begun.receipt(topic_->state);
  batch.clear();
  return receipt;
}

void producer::impl::start_publish(publish_batch batch, detail::completion<batch_receipt> done) {
  pending<batch_receipt> answer{std::move(done), *owner_};
  auto may = owner_->may_wait(operation_);
  if (may) may = batch.impl_->check_target(*topic_);
  if (!may) {
    answer.answer(may.error());
    return;
  }
  unique_lock lock{mutex_};
  const auto added = add(lock, batch, when_full::refuse);
  if (added) {
    (*added)->whole.emplace(std::move(batch));
    (*added)->whole_answer.emplace(std::move(answer));
  }
  submit_sealed(lock);
  lock.unlock();
  if (!added) answer.answer(added.error());
}

result<void> producer::impl::take_failure() {
  failed_from_.reset();  // whoever goes on from here has been told of everything
  if (!first_failure_) return {};
  return std::exchange(first_failure_, std::nullopt)->why;
}

result<void> producer::impl::flush() {
  if (auto may = check_waiting(); !may) return may;
  unique_lock lock{mutex_};
  seal();
  const std::uint64_t last = last_number_;
  wait(lock, [&] { return oldest_under_way() > last; });
  if (auto told = take_failure(); !told) return told;
  return check_open();
}

void producer::impl::start_flush(detail::completion<void> done) {
  pending<void> answer{std::move(done), *owner_};
  if (auto may = owner_->may_wait(operation_); !may) {
    answer.answer(std::move(may));
    return;
  }
  unique_lock lock{mutex_};
  seal();
  if (!under_way_.empty()) {
    flushes_.push_back({last_number_, std::move(answer)});
    submit_sealed(lock);
    return;
  }
  auto told = take_failure();
  if (told) told = check_open();
  lock.unlock();
  answer.answer(std::move(told));
}

result<void> producer::impl::close() {
  if (auto may = check_waiting(); !may) return may;
  unique_lock lock{mutex_};
  seal();
  closed_ = true;
  changed_.notify_all();
  const std::uint64_t last = last_number_;
  wait(lock, [&] { return oldest_under_way() > last; });
  return take_failure();
}

void producer::impl::leave() {
  if (const auto open = owner_->check_open(operation_); !open) {
    // In a forked child nobody may ever give up the lock; when the bus has closed, nothing is collected.
    if (open.error() == errc::would_deadlock) owner_->leave(shared_from_this());
    return;
  }
  unique_lock lock{mutex_};
  closed_ = true;
  seal();
  submit_sealed(lock);
}

producer_sequence producer::impl::last_sequence() const {
  const std::lock_guard guard{mutex_};
  return producer_sequence{stored_};
}

void producer::impl::hand_over() {
  unique_lock lock{mutex_};
  seal();
  submit_sealed(lock);
}

void producer::impl::end(const error& why) noexcept {
  std::deque<batch_pointer> left;
  {
    const std::lock_guard guard{mutex_};
    ended_ = why;
    seal();
    if (!submitting_) left.swap(sealed_);  // else they are refused where they are submitted
    changed_.notify_all();
  }
  for (const auto& batch : left) finish(batch, refuse(why.code(), why.message()));
}

void producer::impl::note(const producer_batch& batch) {
  const result<void>& outcome = batch.outcome;
  --unfinished_;
  bytes_ -= batch.bytes;
  if (!outcome && batch.unawaited > 0 && (!first_failure_ || batch.number < first_failure_->batch))
    first_failure_ = failure{batch.number, outcome.error()};
  if (producer_.id.empty()) return;
  if (outcome) {
    stored_ = std::max(stored_, batch.sequences.last);
  } else {
    if (outcome.error() == errc::fenced) fenced_ = outcome.error();
    failed_from_ = std::min(failed_from_.value_or(UINT64_MAX), batch.sequences.first);
    broken_ = true;
  }
  if (unfinished_ > 0) return;
  sent_ = stored_;
  broken_ = false;
}

void producer::impl::answer(producer_batch& batch) {
  const result<void>& outcome = batch.outcome;
  for (auto& each : batch.awaited) {
    each.answer.answer(outcome ? result<publish_receipt>{batch.receipt(topic_->state, each.where)}
                               : outcome.error());
  }
  batch.awaited.clear();
  if (batch.whole_answer) {
    batch.whole_answer->answer(outcome ? result<batch_receipt>{batch.receipt(topic_->state)}
                                       : outcome.error());
  }
  if (outcome || batch.unawaited == 0 || !options_.on_failure) return;
  post_to(owner_->executor(),
          [told = options_.on_failure, why = outcome.error(), n = batch.unawaited] { told(why, n); });
}

/// Keeps memory that has been touched, instead of having the system clear new one: as much as may be under
/// way.
void producer::impl::reuse(producer_batch& batch) {
  for (auto& encoder : batch.encoders) {
    const std::size_t size = encoder.capacity();
    if (bytes_ + spare_bytes_ + size > options_.buffer_bytes_max) break;
    spare_bytes_ += size;
    spare_.push_back(std::move(encoder));
  }
  batch.encoders.clear();
}

void producer::impl::finish(const batch_pointer& batch, result<void> outcome) noexcept {
  batch->outcome = std::move(outcome);
  std::vector<batch_pointer> ended{batch};
  {
    const std::lock_guard guard{mutex_};
    note(*batch);
    // What is still collected was sent behind it; it would be refused when it is committed.
    if (!batch->outcome && !producer_.id.empty() && collecting_) {
      seal();
      ended.push_back(std::move(sealed_.back()));
      sealed_.pop_back();
      ended.back()->outcome =
          fenced_ ? *fenced_ : refuse(errc::out_of_order_sequence, "a record before could not be stored");
      note(*ended.back());
    }
  }
  // The next thing that a handler does may be to send again, so the state comes first; flushes come last.
  for (const auto& each : ended) answer(*each);
  std::vector<pending<void>> flushed;
  result<void> told;
  {
    const std::lock_guard guard{mutex_};
    for (const auto& each : ended) {
      reuse(*each);
      each->answered = true;
      under_way_.erase(each->number);
    }
    for (; !flushes_.empty() && flushes_.front().last < oldest_under_way(); flushes_.pop_front())
      flushed.push_back(std::move(flushes_.front().answer));
    if (!flushed.empty()) told = take_failure();
    changed_.notify_all();
  }
  for (auto& f : flushed) f.answer(std::exchange(told, {}));
}

}  // namespace levada
