#include <levada/queue.hpp>

#include <utility>

#include <levada/async.hpp>

#include "bus/queue_consumer_state.hpp"
#include "bus/queue_impl.hpp"

namespace levada {

queue_consumer::queue_consumer(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
queue_consumer::queue_consumer(queue_consumer&&) noexcept = default;
queue_consumer& queue_consumer::operator=(queue_consumer&& other) noexcept {
  if (this != &other) {
    close();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
// Asynchronous calls may hold what is inside.
queue_consumer::~queue_consumer() {
  close();
}

result<std::optional<delivery>> queue_consumer::receive(std::chrono::milliseconds timeout) {
  return impl_->state->receive(timeout);
}
result<void> queue_consumer::ack(delivery_tag tag) {
  return impl_->state->settle(settling::done, {&tag, 1});
}
result<void> queue_consumer::ack(std::span<const delivery_tag> tags) {
  return impl_->state->settle(settling::done, tags);
}
result<void> queue_consumer::ack_up_to(delivery_tag tag) {
  return impl_->state->settle_up_to(settling::done, tag);
}
void queue_consumer::start_receive(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                                   detail::completion<std::optional<delivery>> done) {
  self->state->start_receive(timeout, std::move(done));
}
void queue_consumer::start_settle(const std::shared_ptr<impl>& self, const std::vector<delivery_tag>& tags,
                                  settlement how, detail::completion<void> done) {
  queue_consumer_state& state = *self->state;
  switch (how) {
    case settlement::ack:
      return state.start_settle(settling::done, state.take("ack", tags), std::move(done));
    case settlement::ack_up_to:
      return state.start_settle(settling::done, state.take_up_to("ack", tags.front()), std::move(done));
    case settlement::discard:
      return state.start_settle(settling::rejected, state.take("reject", tags), std::move(done));
    case settlement::put_back:
      return state.start_put_back(tags.front(), std::move(done));
  }
}
result<void> queue_consumer::nack(delivery_tag tag, requeue what) {
  return what == requeue::yes ? impl_->state->put_back(tag)
                              : impl_->state->settle(settling::rejected, {&tag, 1});
}
const std::string& queue_consumer::queue() const noexcept {
  return impl_->state->queue();
}
void queue_consumer::cancel() noexcept {
  impl_->state->cancel();
}
void queue_consumer::close() noexcept {
  if (impl_) impl_->state->close();
}

exclusive_queue::exclusive_queue(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
exclusive_queue::exclusive_queue(exclusive_queue&&) noexcept = default;
exclusive_queue& exclusive_queue::operator=(exclusive_queue&&) noexcept = default;
exclusive_queue::~exclusive_queue() = default;

const std::string& exclusive_queue::name() const noexcept {
  return impl_->queue->state.name();
}
result<void> exclusive_queue::close() {
  return impl_->close();
}
result<queue_consumer> exclusive_queue::consume(const queue_consumer_options& options) const {
  auto state = queue_consumer_state::start(impl_->owner, impl_->queue, options);
  if (!state) return state.error();
  return queue_consumer{std::make_shared<queue_consumer::impl>(std::move(*state))};
}

}  // namespace levada
