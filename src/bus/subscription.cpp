#include <levada/subscription.hpp>

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include <boost/asio/post.hpp>

#include "bus/bus_impl.hpp"
#include "bus/calls.hpp"
#include "bus/subscription_impl.hpp"

namespace levada {
namespace {

constexpr std::size_t workers_max = 1024;

/// Records that are handled in a row before others have the executor.
constexpr int records_in_row = 64;

/// How long to wait before something is tried again that has failed.
constexpr std::chrono::milliseconds pause_after_failure{1'000};

result<void> check_options(const std::string& operation, const async_record_handler& handler,
                           const subscription_options& options) {
  const auto refuse = [&](std::string_view what) {
    return error{errc::invalid_argument, fmt::format("{}: {}", operation, what)};
  };
  if (!handler) return refuse("there is no handler");
  if (options.consumer.auto_commit) return refuse("auto_commit is set, but the subscription commits");
  if (options.workers < 1 || options.workers > workers_max)
    return refuse(fmt::format("workers is {}, not from 1 to {}", options.workers, workers_max));
  if (options.records_max < 1) return refuse("records_max is 0");
  if (options.commit_interval.count() < 0) return refuse("commit_interval is negative");
  if (options.retry_delay.count() < 0) return refuse("retry_delay is negative");
  return {};
}

async_record_handler answer_at_once(record_handler handler) {
  if (!handler) return nullptr;
  return [handler = std::move(handler)](record_handling h) {
    h.answer(outcome_of([&] { return handler(h.record()); }));
  };
}

}  // namespace

/// In it, by a handler, places may become free before it has returned.
struct subscription::impl::handler_call : host_call {
  enum class kind : bool { callback, handler };
  explicit handler_call(const impl& self, kind k = kind::callback) noexcept
      : host_call{&self, *self.owner_}, what{k} {}
  /// Of that subscription, in this thread; null where there is none.
  [[nodiscard]] static handler_call* find(const impl& self) noexcept {
    return static_cast<handler_call*>(host_call::find(&self));  // NOLINT: it makes no others
  }

  const kind what;
  std::size_t places_freed = 0;  // by answers that a handler has given before it returned
};

// Its life

subscription::impl::impl(std::shared_ptr<core> owner, async_record_handler handler,
                         const subscription_options& options)
    : owner_{std::move(owner)},
      handler_{std::move(handler)},
      options_{options},
      poll_records_max_{
          std::min(options.consumer.poll_records_max, std::max<std::size_t>(options.records_max / 2, 1))},
      workers_{options.workers},
      queue_{options.order} {}

result<std::shared_ptr<subscription::impl>> subscription::impl::start(std::shared_ptr<core> owner,
                                                                      const std::string& operation,
                                                                      const join_function& join,
                                                                      async_record_handler handler,
                                                                      const subscription_options& options) {
  if (auto checked = check_options(operation, handler, options); !checked) return checked.error();
  const auto self = std::make_shared<impl>(owner, std::move(handler), options);
  consumer_options member = options.consumer;
  member.poll_records_max = self->poll_records_max_;
  member.on_revoked = [self = self.get()](revocation& given_up) { self->revoke(given_up); };
  member.on_assigned = [self = self.get()](new_assignment& come) { self->assigned(come); };
  member.on_lost = [self = self.get()](std::span<const topic_partition> gone) { self->lost(gone); };
  auto joined = join(member);
  if (!joined) return joined.error();
  self->member_ = std::make_unique<consumer>(std::move(*joined));
  self->group_ = self->owner_->find_group(self->member_->group());
  if (!self->group_) return error{errc::closed, fmt::format("{}: the bus is closed", operation)};
  try {
    self->executor_ = options.executor ? options.executor : self->workers_.executor();
    owner->add(self);
    self->thread_ = std::thread{[self] { self->serve(); }};
  } catch (const std::system_error& e) {
    self->member_->close();
    return error{errc::out_of_resources, fmt::format("{}: no thread: {}", operation, e.what())};
  }
  return self;
}

bool subscription::impl::must_not_wait() const {
  return host_call::find(this) != nullptr || !owner_->may_wait("close");
}

bool subscription::impl::forked() const {
  const auto open = owner_->check_open("close");
  return !open && open.error() == errc::forked;
}

void subscription::impl::close() noexcept {
  if (forked()) return;
  {
    const std::lock_guard guard{mutex_};
    stop_ = true;
    queue_.hold_all();
  }
  member_->wakeup();
  handled_->signal();
  if (!must_not_wait()) ended_.wait(false);
}

void subscription::impl::leave_thread() noexcept {
  if (forked()) {
    // Neither joined nor detached, as it is not there; given up on purpose.
    static_cast<void>(new (std::nothrow) std::thread{std::move(thread_)});  // NOLINT
  } else if (must_not_wait()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

result<void> subscription::impl::wait() const {
  if (forked()) {
    return error{errc::forked, fmt::format("wait for the subscription of group '{}': it is the parent's",
                                           member_->group())};
  }
  if (must_not_wait()) {
    return error{errc::would_deadlock,
                 fmt::format("wait for the subscription of group '{}': it waits itself", member_->group())};
  }
  ended_.wait(false);
  const std::lock_guard guard{mutex_};
  if (why_) return *why_;
  return {};
}

std::size_t subscription::impl::pending() const {
  const std::lock_guard guard{mutex_};
  return queue_.size();
}

std::vector<topic_partition> subscription::impl::assignment() const {
  const std::lock_guard guard{mutex_};
  return assignment_;
}

void subscription::impl::stop(const error& why) {
  halted_ = true;
  if (stop_.exchange(true)) return;
  why_ = why;
}

void subscription::impl::tell(const error& why) {
  if (owner_->options().logger)
    owner_->options().logger->warn("levada: subscription of group '{}': {}", member_->group(), why.message());
  tell_host(why);
}

void subscription::impl::tell_host(const error& why) const {
  if (options_.on_failure) options_.on_failure(why);
}

// The subscription's thread

void subscription::impl::serve() {
  const handler_call within{*this};
  while (!stop_) read_some();
  member_->close();
  {
    const std::lock_guard guard{mutex_};
    halted_ = true;
  }
  wait_for_calls();
  std::optional<error> why;
  {
    const std::lock_guard guard{mutex_};
    queue_.drop(assignment_);
    assignment_.clear();
    why = why_;
  }
  if (why) tell(*why);
  ended_ = true;
  ended_.notify_all();
}

void subscription::impl::read_some() {
  heed_limit();
  auto batch = member_->poll(time_to_commit());
  if (!batch) return take_note_of(batch.error(), handovers_);
  handovers_.succeeded(owner_->logger(), "handing over for group", member_->group());
  {
    const std::lock_guard guard{mutex_};
    if (!stop_ && std::exchange(revoked_some_, false)) {
      assignment_ = member_->assignment();
      queue_.release(assignment_);
    }
    queue_.add(*batch);
    begin_some();
  }
  if (time_to_commit() == std::chrono::milliseconds{0}) commit_settled();
}

void subscription::impl::take_note_of(const error& failure, failure_notice& again) {
  if (failure == errc::overtaken || failure == errc::unknown_topic) return tell(failure);
  if (!may_pass(failure.code())) {
    const std::lock_guard guard{mutex_};
    return stop(failure);
  }
  again.failed(owner_->logger(), failure);
  tell_host(failure);
  const std::uint64_t seen = handled_->signals();
  if (!stop_) handled_->wait(owner_->time(), seen, deadline_after(owner_->time(), pause_after_failure));
}

std::chrono::milliseconds subscription::impl::time_to_commit() const {
  const std::lock_guard guard{mutex_};
  if (!commit_wanted_) return std::chrono::milliseconds::max();
  const auto now = owner_->time().steady();
  return now >= next_commit_ ? std::chrono::milliseconds{0}
                             : std::chrono::ceil<std::chrono::milliseconds>(next_commit_ - now);
}

void subscription::impl::commit_settled() {
  std::vector<offset_commit> offsets;
  {
    const std::lock_guard guard{mutex_};
    commit_wanted_ = false;
    for (auto& [where, next] : queue_.settled()) offsets.emplace_back(std::move(where), next);
  }
  if (offsets.empty()) return;
  const auto done = member_->commit(offsets);
  {
    const std::lock_guard guard{mutex_};
    if (done) {
      for (const auto& o : offsets) queue_.note_committed(o.where(), o.next());
    } else {
      wake_for_commit();
    }
  }
  if (!done) return take_note_of(done.error(), commits_);
  commits_.succeeded(owner_->logger(), "committing for group", member_->group());
}

void subscription::impl::heed_limit() {
  bool pause = false;
  {
    const std::lock_guard guard{mutex_};
    pause = wants_room_ = queue_.size() > 0 && full();
  }
  if (pause == paused_) return;
  const auto all = member_->assignment();
  if (const auto done = pause ? member_->pause(all) : member_->resume(all)) paused_ = pause;
}

void subscription::impl::revoke(revocation& given_up) {
  revoked_some_ = true;
  member_->wakeup();  // so that the poll returns when it is decided who has them
  {
    const std::lock_guard guard{mutex_};
    queue_.hold(given_up.partitions());
  }
  wait_for_handlers(given_up.partitions());
  for (const auto& where : given_up.partitions()) {
    std::optional<offset> next;
    {
      const std::lock_guard guard{mutex_};
      next = queue_.settled(where);
    }
    if (!next) continue;
    if (const auto done = given_up.commit(where, *next); !done) tell(done.error());
  }
  if (options_.consumer.on_revoked) options_.consumer.on_revoked(given_up);
}

void subscription::impl::assigned(new_assignment& come) {
  bool pause = false;
  {
    const std::lock_guard guard{mutex_};
    assignment_ = member_->assignment();
    queue_.drop(come.partitions());  // what was given up, and has come back
    pause = wants_room_;
  }
  paused_ = paused_ && pause && member_->pause(come.partitions());
  if (options_.consumer.on_assigned) options_.consumer.on_assigned(come);
}

void subscription::impl::lost(std::span<const topic_partition> gone) {
  {
    const std::lock_guard guard{mutex_};
    queue_.drop(gone);
    std::erase_if(assignment_, [gone](const topic_partition& where) {
      return std::find(gone.begin(), gone.end(), where) != gone.end();
    });
  }
  if (options_.consumer.on_lost) options_.consumer.on_lost(gone);
}

void subscription::impl::wait_for_handlers(std::span<const topic_partition> partitions) {
  const auto timeout = options_.consumer.rebalance_timeout;
  auto deadline = clock::steady_time::max();
  group_->members.add(handled_);
  for (;;) {
    const std::uint64_t seen = handled_->signals();
    // In a rebalance, until the group has lost patience; but nobody else ends a wait when it closes.
    if (stop_) deadline = std::min(deadline, deadline_after(owner_->time(), timeout));
    {
      const std::lock_guard guard{mutex_};
      const bool busy = halted_ ? queue_.handles_any(partitions) : queue_.has_work(partitions);
      waits_ = busy && owner_->time().steady() < deadline && in_group();
      if (!waits_) break;
    }
    handled_->wait(owner_->time(), seen, deadline);
  }
  group_->members.remove(handled_);
}

bool subscription::impl::in_group() const {
  const std::lock_guard guard{group_->mutex};
  return group_->state.has(member_->member_id());
}

void subscription::impl::wait_for_calls() {
  for (;;) {
    const std::uint64_t seen = handled_->signals();
    {
      const std::lock_guard guard{mutex_};
      waits_ = calls_ > 0;
      if (!waits_) return;
    }
    handled_->wait(owner_->time(), seen, clock::steady_time::max());
  }
}

// Where handlers run

void subscription::impl::begin_some() {
  if (halted_) return;
  std::size_t more = std::min(options_.workers - places_taken_, queue_.ready());
  for (; more > 0; --more) {
    ++places_taken_;
    boost::asio::post(executor_, [self = shared_from_this()] { self->work(); });
  }
}

void subscription::impl::work() {
  for (int i = 0; i < records_in_row; ++i) {
    std::optional<handling_queue::entry> e;
    {
      const std::lock_guard guard{mutex_};
      if (!halted_) e = queue_.next();
      if (!e) {
        --places_taken_;
        return;
      }
      ++calls_;
    }
    std::size_t freed = 0;
    {
      handler_call within{*this, handler_call::kind::handler};
      auto handling = std::make_unique<record_handling::impl>(shared_from_this(), std::move(*e));
      try {
        handler_(record_handling{std::move(handling)});
      } catch (...) {
        // It has answered, if only by being destroyed.
      }
      freed = within.places_freed;
    }
    bool signal = false;
    {
      const std::lock_guard guard{mutex_};
      --calls_;
      signal = waits_;
      if (freed > 1) places_taken_ -= freed - 1;
      if (freed != 1) begin_some();
    }
    if (signal) handled_->signal();
    if (freed == 0) return;  // answered later: then its place is free
  }
  boost::asio::post(executor_, [self = shared_from_this()] { self->work(); });
}

failed_handling subscription::impl::judge(const handling_queue::entry& e, const error& why) const {
  if (!options_.on_failed_handling) return failed_handling::stop;
  const handler_call within{*this};
  return options_.on_failed_handling(e.record(), why, e.attempt());
}

void subscription::impl::answer(handling_queue::entry e, result<void> outcome) {
  const auto verdict = outcome ? failed_handling::skip : judge(e, outcome.error());
  bool signal = false;
  {
    const std::lock_guard guard{mutex_};
    if (verdict == failed_handling::skip) {
      if (queue_.done(e) && !commit_wanted_) wake_for_commit();
    } else {
      queue_.set_aside(e);
    }
    if (verdict == failed_handling::stop) {
      const record_view& r = e.record();
      stop({outcome.error().code(),
            fmt::format("handle record {} of topic '{}', partition {}: {}", r.offset().value(), r.topic(),
                        r.partition().value(), outcome.error().message())});
      member_->wakeup();
    }
    if (wants_room_ && !full()) {
      wants_room_ = false;
      member_->wakeup();
    }
    handler_call* const within = handler_call::find(*this);
    if (within != nullptr && within->what == handler_call::kind::handler) {
      ++within->places_freed;
    } else {
      --places_taken_;
      begin_some();
    }
    signal = waits_;
  }
  if (signal) handled_->signal();
  if (verdict == failed_handling::retry) handle_again(std::move(e));
}

void subscription::impl::handle_again(handling_queue::entry e) {
  const auto put_back = [self = shared_from_this(), e] {
    const std::lock_guard guard{self->mutex_};
    self->queue_.put_back(e);
    self->begin_some();
  };
  try {
    if (options_.retry_delay.count() > 0) {
      const auto when = deadline_after(owner_->time(), options_.retry_delay);
      static_cast<void>(owner_->errands().ring(when, put_back));
      return;
    }
  } catch (const std::system_error&) {
    // No thread to ring: then without a delay.
  }
  put_back();
}

void subscription::impl::wake_for_commit() {
  commit_wanted_ = true;
  next_commit_ = deadline_after(owner_->time(), options_.commit_interval);
  member_->wakeup();
}

void record_handling::impl::answer(result<void> outcome) {
  if (const auto to = std::move(to_)) to->answer(std::move(entry_), std::move(outcome));
}

record_handling::record_handling(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
record_handling::record_handling(record_handling&&) noexcept = default;
record_handling& record_handling::operator=(record_handling&& other) noexcept {
  const record_handling before = std::move(*this);
  impl_ = std::move(other.impl_);
  return *this;
}
record_handling::~record_handling() {
  if (impl_) impl_->answer(error{errc::handler_failed, "it was dropped without an answer"});
}

const record_view& record_handling::record() const noexcept {
  return impl_->record();
}

void record_handling::answer(result<void> outcome) {
  impl_->answer(std::move(outcome));
}

// The handle

subscription::subscription(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
subscription::subscription(subscription&&) noexcept = default;
subscription& subscription::operator=(subscription&& other) noexcept {
  const subscription before = std::move(*this);
  impl_ = std::move(other.impl_);
  return *this;
}
subscription::~subscription() {
  if (!impl_) return;
  impl_->close();
  impl_->leave_thread();
}

void subscription::close() noexcept {
  impl_->close();
}
void subscription::start_close(const std::shared_ptr<impl>& self, detail::completion<void> done) {
  make_call<void>(
      self->owner(),
      [self] {
        self->close();
        return self->wait();
      },
      std::move(done));
}
bool subscription::active() const noexcept {
  return impl_->active();
}
result<void> subscription::wait() const {
  return impl_->wait();
}
std::size_t subscription::pending() const noexcept {
  return impl_->pending();
}
std::vector<topic_partition> subscription::assignment() const {
  return impl_->assignment();
}
const std::string& subscription::group() const noexcept {
  return impl_->member().group();
}
const std::string& subscription::member_id() const noexcept {
  return impl_->member().member_id();
}

result<subscription> bus::subscribe(std::string_view group, const std::vector<std::string>& topics,
                                    async_record_handler handler, const subscription_options& options) {
  auto started = subscription::impl::start(
      impl_->owner, fmt::format("subscribe as group '{}'", group),
      [&](const consumer_options& how) { return join(group, topics, how); }, std::move(handler), options);
  if (!started) return started.error();
  return subscription{std::move(*started)};
}

result<subscription> bus::subscribe(std::string_view group, const topic_pattern& topics,
                                    async_record_handler handler, const subscription_options& options) {
  auto started = subscription::impl::start(
      impl_->owner, fmt::format("subscribe as group '{}'", group),
      [&](const consumer_options& how) { return join(group, topics, how); }, std::move(handler), options);
  if (!started) return started.error();
  return subscription{std::move(*started)};
}

result<subscription> bus::subscribe(std::string_view group, const std::vector<std::string>& topics,
                                    record_handler handler, const subscription_options& options) {
  return subscribe(group, topics, answer_at_once(std::move(handler)), options);
}

result<subscription> bus::subscribe(std::string_view group, const topic_pattern& topics,
                                    record_handler handler, const subscription_options& options) {
  return subscribe(group, topics, answer_at_once(std::move(handler)), options);
}

}  // namespace levada
