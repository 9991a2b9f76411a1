// What the host holds of a consumer, of a revocation and of a new assignment.

#include <levada/consumer.hpp>

#include <utility>

#include "bus/calls.hpp"
#include "bus/consumer_impl.hpp"

#include <levada/async.hpp>

namespace levada {

consumer::consumer(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
consumer::consumer(consumer&&) noexcept = default;
consumer& consumer::operator=(consumer&& other) noexcept {
  if (this != &other) {
    close();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
consumer::~consumer() {
  close();
}

result<record_batch> consumer::poll(std::chrono::milliseconds timeout) {
  return impl_->poll(timeout);
}
void consumer::wakeup() noexcept {
  impl_->wakeup();
}
result<void> consumer::commit() {
  return impl_->commit(std::nullopt);
}
result<void> consumer::commit(const topic_partition& where, offset next, std::string metadata) {
  return impl_->commit(std::vector{offset_commit{where, next, std::move(metadata)}});
}
result<void> consumer::commit(std::span<const offset_commit> offsets) {
  return impl_->commit(std::vector(offsets.begin(), offsets.end()));
}
void consumer::start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                          detail::completion<record_batch> done) {
  impl::start_poll(self, timeout, std::move(done));
}
void consumer::start_commit(const std::shared_ptr<impl>& self,
                            const std::optional<std::vector<offset_commit>>& what,
                            detail::completion<void> done) {
  impl::start_commit(self, what, std::move(done));
}
void consumer::start_close(const std::shared_ptr<impl>& self, detail::completion<void> done) {
  make_call<void>(
      self->owner(),
      [self]() -> result<void> {
        self->close();
        return {};
      },
      std::move(done));
}
result<void> consumer::seek(const topic_partition& where, const start_position& to) {
  return impl_->seek(where, to);
}
result<void> consumer::pause(std::span<const topic_partition> partitions) {
  return impl_->set_paused("pause", partitions, true);
}
result<void> consumer::resume(std::span<const topic_partition> partitions) {
  return impl_->set_paused("resume", partitions, false);
}
std::vector<topic_partition> consumer::paused() const {
  return impl_->paused();
}
std::vector<topic_partition> consumer::assignment() const {
  return impl_->assignment();
}
result<std::optional<offset>> consumer::position(const topic_partition& where) const {
  return impl_->position(where);
}
result<std::optional<committed_offset>> consumer::committed(const topic_partition& where) const {
  return impl_->committed(where);
}
result<std::optional<std::uint64_t>> consumer::lag(const topic_partition& where) const {
  return impl_->lag(where);
}
result<std::uint64_t> consumer::lag() const {
  return impl_->lag();
}
result<offset> consumer::beginning_offset(const topic_partition& where) const {
  return impl_->end_of_log("ask beginning offset", where, true);
}
result<offset> consumer::end_offset(const topic_partition& where) const {
  return impl_->end_of_log("ask end offset", where, false);
}
const std::string& consumer::group() const noexcept {
  return impl_->group();
}
const std::string& consumer::member_id() const noexcept {
  return impl_->member_id();
}
void consumer::close() noexcept {
  if (impl_) impl_->close();
}

std::span<const topic_partition> revocation::partitions() const noexcept {
  return impl_.partitions;
}
result<std::optional<offset>> revocation::position(const topic_partition& where) const {
  return impl_.position(where);
}
result<void> revocation::commit(const topic_partition& where, offset next, std::string metadata) {
  return impl_.commit({where, next, std::move(metadata)});
}
void revocation::commit_positions() {
  impl_.commit_positions();
}

std::span<const topic_partition> new_assignment::partitions() const noexcept {
  return impl_.partitions;
}
result<void> new_assignment::seek(const topic_partition& where, const start_position& to) {
  return impl_.seek(where, to);
}

}  // namespace levada
