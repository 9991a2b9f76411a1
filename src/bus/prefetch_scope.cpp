#include <levada/prefetch_scope.hpp>

#include <algorithm>
#include <utility>

#include "bus/prefetch_scope_impl.hpp"

namespace levada {

void prefetch_scope::impl::add(const std::shared_ptr<waiter>& consumer,
                               const std::shared_ptr<queue_slot>& queue) {
  const std::lock_guard guard{mutex_};
  members_.push_back({consumer, queue});
}

void prefetch_scope::impl::remove(const std::shared_ptr<waiter>& consumer) {
  const std::lock_guard guard{mutex_};
  std::erase_if(members_, [&](const member& m) { return m.consumer == consumer; });
}

bool prefetch_scope::impl::take_place() {
  const std::lock_guard guard{mutex_};
  if (full()) {
    refused_ = true;
    return false;
  }
  ++held_;
  return true;
}

void prefetch_scope::impl::pass_on() {
  std::vector<member> passing;
  {
    const std::lock_guard guard{mutex_};
    if (full()) passing = members_;
  }
  for (const member& m : passing) {
    if (m.queue->prioritised) m.queue->waiting.signal();
  }
}

void prefetch_scope::impl::give_places(std::uint64_t count) {
  std::vector<member> waiting;
  {
    const std::lock_guard guard{mutex_};
    held_ -= std::min(held_, count);
    if (std::exchange(refused_, false)) waiting = members_;
  }
  for (const member& m : waiting) m.consumer->signal();
}

std::uint64_t prefetch_scope::impl::held() const {
  const std::lock_guard guard{mutex_};
  return held_;
}

std::uint64_t prefetch_scope::impl::left() const {
  const std::lock_guard guard{mutex_};
  return prefetch == 0 ? std::numeric_limits<std::uint64_t>::max()
                       : prefetch - std::min<std::uint64_t>(prefetch, held_);
}

prefetch_scope::prefetch_scope(std::uint32_t prefetch) : impl_{std::make_shared<impl>(prefetch)} {}

std::uint32_t prefetch_scope::prefetch() const noexcept {
  return impl_->prefetch;
}
std::uint64_t prefetch_scope::unsettled() const noexcept {
  return impl_->held();
}

}  // namespace levada
