#include <levada/queue.hpp>

#include <utility>

#include "bus/queue_consumer_state.hpp"
#include "bus/queue_impl.hpp"

namespace levada {

queue_consumer::queue_consumer(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
queue_consumer::queue_consumer(queue_consumer&&) noexcept = default;
queue_consumer& queue_consumer::operator=(queue_consumer&&) noexcept = default;
queue_consumer::~queue_consumer() = default;

result<std::optional<delivery>> queue_consumer::receive(std::chrono::milliseconds timeout) {
  return impl_->state->receive(timeout);
}
result<void> queue_consumer::ack(delivery_tag tag) {
  return impl_->state->settle("ack", {&tag, 1});
}
result<void> queue_consumer::ack(std::span<const delivery_tag> tags) {
  return impl_->state->settle("ack", tags);
}
result<void> queue_consumer::ack_up_to(delivery_tag tag) {
  return impl_->state->settle_up_to("ack", tag);
}
result<void> queue_consumer::nack(delivery_tag tag, requeue what) {
  return what == requeue::yes ? impl_->state->put_back(tag) : impl_->state->settle("nack", {&tag, 1});
}
const std::string& queue_consumer::queue() const noexcept {
  return impl_->state->queue();
}
void queue_consumer::close() noexcept {
  if (impl_) impl_->state->close();
}

anonymous_queue::anonymous_queue(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
anonymous_queue::anonymous_queue(anonymous_queue&&) noexcept = default;
anonymous_queue& anonymous_queue::operator=(anonymous_queue&&) noexcept = default;
anonymous_queue::~anonymous_queue() = default;

const std::string& anonymous_queue::name() const noexcept {
  return impl_->queue->state.name();
}
result<void> anonymous_queue::close() {
  return impl_->close();
}
result<queue_consumer> anonymous_queue::consume(const queue_consumer_options& options) const {
  auto state = queue_consumer_state::start(impl_->owner, impl_->queue, options);
  if (!state) return state.error();
  return queue_consumer{std::make_unique<queue_consumer::impl>(std::move(*state))};
}

}  // namespace levada
