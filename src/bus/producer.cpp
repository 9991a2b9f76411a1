#include <levada/producer.hpp>

#include <utility>

#include "bus/calls.hpp"
#include "bus/producer_impl.hpp"

namespace levada {

producer::producer(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
producer::producer(producer&&) noexcept = default;
producer& producer::operator=(producer&& other) noexcept {
  const producer before{std::exchange(impl_, std::move(other.impl_))};
  return *this;
}
producer::~producer() {
  if (impl_) impl_->leave();
}

result<void> producer::send(const record& r) {
  return impl_->send(std::nullopt, r, impl::when_full::wait);
}
result<void> producer::send(producer_sequence sequence, const record& r) {
  return impl_->send(sequence, r, impl::when_full::wait);
}
result<void> producer::try_send(const record& r) {
  return impl_->send(std::nullopt, r, impl::when_full::refuse);
}
result<void> producer::try_send(producer_sequence sequence, const record& r) {
  return impl_->send(sequence, r, impl::when_full::refuse);
}
void producer::start_send(const std::shared_ptr<impl>& self, std::optional<producer_sequence> sequence,
                          const record& r, detail::completion<publish_receipt> done) {
  self->start_send(sequence, r, std::move(done));
}

result<publish_receipt> producer::publish(const record& r) {
  return impl_->publish(std::nullopt, r);
}
result<publish_receipt> producer::publish(producer_sequence sequence, const record& r) {
  return impl_->publish(sequence, r);
}
result<batch_receipt> producer::publish(publish_batch& batch) {
  return impl_->publish(batch);
}
void producer::start_publish(const std::shared_ptr<impl>& self, publish_batch batch,
                             detail::completion<batch_receipt> done) {
  self->start_publish(std::move(batch), std::move(done));
}

result<void> producer::flush() {
  return impl_->flush();
}
void producer::start_flush(const std::shared_ptr<impl>& self, detail::completion<void> done) {
  self->start_flush(std::move(done));
}
result<void> producer::close() {
  return impl_->close();
}
void producer::start_close(const std::shared_ptr<impl>& self, detail::completion<void> done) {
  make_call<void>(
      self->owner(), [self] { return self->close(); }, std::move(done));
}

producer_sequence producer::last_sequence() const noexcept {
  return impl_->last_sequence();
}
const std::string& producer::id() const noexcept {
  return impl_->id();
}
const std::string& producer::topic() const noexcept {
  return impl_->topic();
}

}  // namespace levada
