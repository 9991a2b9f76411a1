#include "bus/host_call.hpp"

#include <utility>

namespace levada {
namespace {

thread_local host_call* innermost_call = nullptr;

}  // namespace

host_call::host_call(const void* by, const core& owner) noexcept
    : by_{by}, owner_{owner}, outer_{std::exchange(innermost_call, this)} {}

host_call::~host_call() {
  innermost_call = outer_;
}

host_call* host_call::find(const void* by) noexcept {
  for (host_call* c = innermost_call; c != nullptr; c = c->outer_) {
    if (c->by_ == by) return c;
  }
  return nullptr;
}

bool host_call::any(const core& owner) noexcept {
  for (const host_call* c = innermost_call; c != nullptr; c = c->outer_) {
    if (&c->owner_ == &owner) return true;
  }
  return false;
}

}  // namespace levada
