#include <levada/push_consumer.hpp>

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <chrono>
#include <exception>
#include <system_error>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

#include "bus/bus_impl.hpp"
#include "bus/calls.hpp"
#include "bus/push_consumer_impl.hpp"
#include "bus/queue_impl.hpp"
#include "bus/simple_intent.hpp"

namespace levada {
namespace {

constexpr std::size_t handlers_max = 1024;

/// How long to wait before something is tried again that the disk did not take.
constexpr std::chrono::milliseconds pause_after_refusal{1'000};

async_delivery_handler answering_at_once(delivery_handler handler) {
  if (!handler) return nullptr;
  return [handler = std::move(handler)](delivery_handling h) {
    h.answer(outcome_of([&] { return handler(h.delivery()); }));
  };
}

}  // namespace

// Its life

push_consumer::impl::impl(std::shared_ptr<core> owner, async_delivery_handler handler,
                          const push_consumer_options& options)
    : owner_{std::move(owner)}, handler_{std::move(handler)}, options_{options}, workers_{options.workers} {}

push_consumer::impl::~impl() {
  if (forked()) {
    workers_.abandon();
  } else {
    workers_.finish();
  }
}

result<std::shared_ptr<push_consumer::impl>> push_consumer::impl::start(
    std::shared_ptr<core> owner, std::shared_ptr<queue_slot> queue, async_delivery_handler handler,
    const push_consumer_options& options) {
  const std::string operation = fmt::format("consume from queue '{}'", queue->state.name());
  if (!handler) return error{errc::invalid_argument, fmt::format("{}: there is no handler", operation)};
  if (options.workers < 1 || options.workers > handlers_max) {
    return error{errc::invalid_argument, fmt::format("{}: workers is {}, not from 1 to {}", operation,
                                                     options.workers, handlers_max)};
  }
  const auto self = std::make_shared<impl>(owner, std::move(handler), options);
  auto consumer = queue_consumer_state::start(owner, std::move(queue), options.consumer);
  if (!consumer) return consumer.error();
  self->consumer_ = std::move(*consumer);
  try {
    self->executor_ = options.executor ? options.executor : self->workers_.executor();
  } catch (const std::system_error& e) {
    self->consumer_->close();
    return error{errc::out_of_resources, fmt::format("{}: no thread: {}", operation, e.what())};
  }
  owner->add(self);
  self->receive_some();
  return self;
}

bool push_consumer::impl::must_not_wait() const {
  return host_call::find(this) != nullptr || !owner_->may_wait("close");
}

bool push_consumer::impl::forked() const {
  const auto open = owner_->check_open("close");
  return !open && open.error() == errc::forked;
}

void push_consumer::impl::close() noexcept {
  if (forked()) return;
  stop_ = true;
  consumer_->stop_taking();
  end_if_idle();
  if (must_not_wait()) return;
  ended_.wait(false);
  // What has been answered is settled when this has had its turn.
  simple_intent turn{[](commit_scope&) { return result<void>{}; }, nothing_to_apply};
  static_cast<void>(owner_->run("close", turn));
}

result<void> push_consumer::impl::wait() const {
  if (forked()) {
    return error{errc::forked,
                 fmt::format("wait for the consumer of queue '{}': it is the parent's", queue())};
  }
  if (must_not_wait()) {
    return error{errc::would_deadlock,
                 fmt::format("wait for the consumer of queue '{}': it waits itself", queue())};
  }
  ended_.wait(false);
  const std::lock_guard guard{mutex_};
  if (why_) return *why_;
  return {};
}

void push_consumer::impl::stop(const error& why) {
  {
    const std::lock_guard guard{mutex_};
    if (stop_.exchange(true)) return;
    why_ = why;
  }
  consumer_->stop_taking();
  end_if_idle();
}

void push_consumer::impl::end_if_idle() {
  std::optional<error> why;
  {
    const std::lock_guard guard{mutex_};
    if (!stop_ || calls_ > 0 || leaving_) return;
    leaving_ = true;
    ready_.clear();
    why = why_;
  }
  consumer_->close();
  if (why) {
    if (owner_->logger() != nullptr)
      owner_->logger()->warn("levada: consumer of queue '{}': {}", queue(), why->message());
    tell(*why);
  }
  ended_ = true;
  ended_.notify_all();
}

void push_consumer::impl::tell(const error& why) const {
  if (!options_.on_failure) return;
  const host_call within{this, *owner_};
  options_.on_failure(why);
}

void push_consumer::impl::later(void (impl::*what)()) {
  const auto again = [self = shared_from_this(), what] {
    post_to(self->executor_, [self, what] { ((*self).*what)(); });
  };
  static_cast<void>(owner_->errands().ring(deadline_after(owner_->time(), pause_after_refusal), again));
}

// Taking

void push_consumer::impl::receive_some() {
  {
    const std::lock_guard guard{mutex_};
    if (receiving_ || !wants_more()) return;
    receiving_ = true;
  }
  const auto come = [self = shared_from_this()](result<std::optional<delivery>> r) {
    self->received(std::move(r));
  };
  consumer_->start_receive(
      std::chrono::milliseconds::max(),
      detail::completion<std::optional<delivery>>{boost::asio::bind_executor(executor_, come)});
}

void push_consumer::impl::received(result<std::optional<delivery>> come) {
  result<void> outcome;
  if (!come) {
    outcome = come.error();
  } else {
    if (*come) {
      const std::lock_guard guard{mutex_};
      ready_.push_back(std::move(**come));
      begin_some();
    }
    outcome = fill_up();
  }
  {
    const std::lock_guard guard{mutex_};
    receiving_ = false;
  }
  if (!outcome) return receiving_failed(outcome.error());
  receiving_fails_.succeeded(owner_->logger(), "consuming queue", queue());
  receive_some();
}

result<void> push_consumer::impl::fill_up() {
  for (;;) {
    {
      const std::lock_guard guard{mutex_};
      if (!wants_more()) return {};
    }
    auto found = consumer_->receive_now();
    if (!found) return {};
    if (!*found) return found->error();
    if (!**found) return {};
    const std::lock_guard guard{mutex_};
    ready_.push_back(std::move(***found));
    begin_some();
  }
}

void push_consumer::impl::receiving_failed(const error& why) {
  if (stop_) return;
  if (!may_pass(why.code())) return stop(why);
  receiving_fails_.failed(owner_->logger(), why);
  tell(why);
  later(&impl::receive_some);
}

// Handling

void push_consumer::impl::begin_some() {
  for (; !stop_ && !ready_.empty() && places_taken_ < options_.workers; ready_.pop_front()) {
    ++places_taken_;
    boost::asio::post(executor_, [self = shared_from_this(), what = ready_.front()] { self->handle(what); });
  }
}

void push_consumer::impl::handle(const delivery& what) {
  {
    const std::lock_guard guard{mutex_};
    if (stop_) return;
    ++calls_;
  }
  const auto where = std::make_shared<place>();
  {
    const host_call within{this, *owner_};
    const current_handling now{*owner_, what.record(), queue()};
    auto handling = std::make_unique<delivery_handling::impl>(shared_from_this(), what, where);
    try {
      handler_(delivery_handling{std::move(handling)});
    } catch (...) {
      // It has answered, if only by being destroyed.
    }
  }
  returned(*where);
}

void push_consumer::impl::let_go(place& where) {
  if (where.held_by.fetch_sub(1) != 1) return;
  {
    const std::lock_guard guard{mutex_};
    --places_taken_;
    begin_some();
  }
  receive_some();
}

void push_consumer::impl::answer(const delivery& what, const std::shared_ptr<place>& where,
                                 const result<void>& outcome) {
  {
    const std::lock_guard guard{mutex_};
    if (leaving_) return;
    ++calls_;
  }
  const auto how = outcome ? outcome_of_handling::acknowledge : judge(what, outcome.error());
  if (how == outcome_of_handling::stop) {
    stop({outcome.error().code(),
          fmt::format("handle a message of queue '{}': {}", queue(), outcome.error().message())});
  } else {
    settle(what.tag(), how);
  }
  returned(*where);
}

void push_consumer::impl::returned(place& where) {
  {
    const std::lock_guard guard{mutex_};
    --calls_;
  }
  let_go(where);
  end_if_idle();
}

push_consumer::impl::outcome_of_handling push_consumer::impl::judge(const delivery& what,
                                                                    const error& why) const {
  if (!options_.on_failed_delivery) return outcome_of_handling::requeue;
  const host_call within{this, *owner_};
  switch (options_.on_failed_delivery(what, why)) {
    case failed_delivery::requeue:
      return outcome_of_handling::requeue;
    case failed_delivery::reject:
      return outcome_of_handling::reject;
    case failed_delivery::stop:
      break;
  }
  return outcome_of_handling::stop;
}

void push_consumer::impl::settle(delivery_tag tag, outcome_of_handling how) {
  detail::completion<void> done{boost::asio::bind_executor(
      executor_,
      [self = shared_from_this(), tag, how](const result<void>& r) { self->settled(tag, how, r); })};
  if (how == outcome_of_handling::requeue) return consumer_->start_put_back(tag, std::move(done));
  const bool ack = how == outcome_of_handling::acknowledge;
  consumer_->start_settle(ack ? settling::done : settling::rejected,
                          consumer_->take(ack ? "ack" : "reject", {&tag, 1}), std::move(done));
}

void push_consumer::impl::settled(delivery_tag tag, outcome_of_handling how, const result<void>& outcome) {
  if (outcome) return settling_fails_.succeeded(owner_->logger(), "settling for queue", queue());
  if (stop_) return;
  const error& why = outcome.error();
  if (!may_pass(why.code())) return stop(why);
  {
    const std::lock_guard guard{mutex_};
    to_settle_again_.emplace_back(tag, how);
  }
  settling_fails_.failed(owner_->logger(), why);
  tell(why);
  later(&impl::settle_again);
}

void push_consumer::impl::settle_again() {
  decltype(to_settle_again_) all;
  {
    const std::lock_guard guard{mutex_};
    if (stop_) return;
    all.swap(to_settle_again_);
  }
  for (const auto& [tag, how] : all) settle(tag, how);
}

// The handles

delivery_handling::delivery_handling(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
delivery_handling::delivery_handling(delivery_handling&&) noexcept = default;
delivery_handling& delivery_handling::operator=(delivery_handling&& other) noexcept {
  const delivery_handling before = std::move(*this);
  impl_ = std::move(other.impl_);
  return *this;
}
delivery_handling::~delivery_handling() {
  if (impl_) impl_->answer(error{errc::handler_failed, "it was dropped without an answer"});
}
const delivery& delivery_handling::delivery() const noexcept {
  return impl_->delivery();
}
void delivery_handling::answer(result<void> outcome) {
  impl_->answer(outcome);
}

push_consumer::push_consumer(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
push_consumer::push_consumer(push_consumer&&) noexcept = default;
push_consumer& push_consumer::operator=(push_consumer&& other) noexcept {
  const push_consumer before = std::move(*this);
  impl_ = std::move(other.impl_);
  return *this;
}
push_consumer::~push_consumer() {
  if (impl_) impl_->close();
}

void push_consumer::close() noexcept {
  impl_->close();
}
void push_consumer::start_close(const std::shared_ptr<impl>& self, detail::completion<void> done) {
  make_call<void>(
      self->owner(),
      [self] {
        self->close();
        return self->wait();
      },
      std::move(done));
}
bool push_consumer::active() const noexcept {
  return impl_->active();
}
result<void> push_consumer::wait() const {
  return impl_->wait();
}
std::size_t push_consumer::unsettled() const noexcept {
  return impl_->unsettled();
}
const std::string& push_consumer::queue() const noexcept {
  return impl_->queue();
}

result<push_consumer> bus::start_consuming(std::string_view queue, async_delivery_handler handler,
                                           const push_consumer_options& options) {
  auto slot = impl_->shared_queue_of(fmt::format("consume from queue '{}'", queue), queue);
  if (!slot) return slot.error();
  auto started = push_consumer::impl::start(impl_->owner, std::move(*slot), std::move(handler), options);
  if (!started) return started.error();
  return push_consumer{std::move(*started)};
}
result<push_consumer> bus::start_consuming(std::string_view queue, delivery_handler handler,
                                           const push_consumer_options& options) {
  return start_consuming(queue, answering_at_once(std::move(handler)), options);
}

result<push_consumer> exclusive_queue::start_consuming(async_delivery_handler handler,
                                                       const push_consumer_options& options) const {
  auto started = push_consumer::impl::start(impl_->owner, impl_->queue, std::move(handler), options);
  if (!started) return started.error();
  return push_consumer{std::move(*started)};
}
result<push_consumer> exclusive_queue::start_consuming(delivery_handler handler,
                                                       const push_consumer_options& options) const {
  return start_consuming(answering_at_once(std::move(handler)), options);
}

}  // namespace levada
