#pragma once

/// @file
/// Asynchronous calls that wait until there is something, or a time-out.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/cancellation_type.hpp>

#include "bus/core.hpp"
#include "bus/pending.hpp"

namespace levada {

/// Looks, within the handler's executor, whenever its waiter is signalled or a time has come, until there is
/// an answer.
template <class T>
class waiting_call : public std::enable_shared_from_this<waiting_call<T>> {
 public:
  /// The answer, if there is one by now. May bring `next_look` forward: when to look again, though nobody
  /// signals.
  using look_function = std::function<std::optional<result<T>>(clock::steady_time& next_look)>;

  /// Looks for the first time within the call. `look` must have an answer once `deadline` has come.
  static void start(std::shared_ptr<core> owner, std::shared_ptr<waiter> signalled,
                    clock::steady_time deadline, look_function look, detail::completion<T> done) {
    pending<T> answer{std::move(done), *owner};
    const auto self = std::make_shared<waiting_call>(std::move(owner), std::move(signalled), deadline,
                                                     std::move(look), std::move(answer));
    if (auto slot = self->answer_.slot(); slot.is_connected()) {
      slot.assign([weak = self->weak_from_this()](boost::asio::cancellation_type) {
        const auto there = weak.lock();
        if (!there) return;
        there->cancelled_ = true;
        there->wake();
      });
    }
    if (auto found = self->look()) {
      self->answer_.answer(std::move(*found));
    } else {
      self->rest();
    }
  }

  waiting_call(std::shared_ptr<core> owner, std::shared_ptr<waiter> signalled, clock::steady_time deadline,
               look_function look, pending<T> answer)
      : owner_{std::move(owner)},
        waiter_{std::move(signalled)},
        deadline_{deadline},
        look_{std::move(look)},
        answer_{std::move(answer)} {}

 private:
  /// What it is doing. Whoever finds it idle has it look again; who comes while it looks makes it look once
  /// more.
  enum class state : unsigned { idle, scheduled, looks, looks_once_more };

  /// Without an answer, sees to it that somebody wakes it.
  std::optional<result<T>> look() {
    if (cancelled_) return error{errc::operation_aborted, "the call was cancelled"};
    const std::uint64_t seen = waiter_->signals();
    clock::steady_time next = deadline_;
    if (auto found = look_(next)) return found;
    const std::function<void()> wakes = [self = this->shared_from_this()] { self->wake(); };
    if (next != clock::steady_time::max()) bell_ = owner_->errands().ring(next, wakes);
    if (!waiter_->call(seen, wakes)) wake();
    return std::nullopt;
  }
  void rest() {
    state expected = state::looks;
    if (!state_.compare_exchange_strong(expected, state::idle)) schedule();
  }
  void schedule() {
    state_ = state::scheduled;
    post_to(answer_.executor(), [self = this->shared_from_this()] { self->look_again(); });
  }
  void wake() {
    for (state now = state_;;) {
      if (now == state::idle) {
        if (state_.compare_exchange_weak(now, state::scheduled)) return schedule();
      } else if (now != state::looks || state_.compare_exchange_weak(now, state::looks_once_more)) {
        return;
      }
    }
  }
  void look_again() {
    if (answered_) return;
    state_ = state::looks;
    stop_waiting();
    if (auto found = look()) {
      answered_ = true;
      stop_waiting();
      answer_.answer_here(std::move(*found));
    } else {
      rest();
    }
  }
  void stop_waiting() {
    if (bell_) owner_->errands().silence(*bell_);
    bell_.reset();
    waiter_->call_off();
  }

  const std::shared_ptr<core> owner_;
  const std::shared_ptr<waiter> waiter_;
  const clock::steady_time deadline_;
  const look_function look_;
  pending<T> answer_;
  std::optional<courier::bell> bell_;
  std::atomic<state> state_{state::looks};
  std::atomic<bool> cancelled_{false};
  bool answered_ = false;
};

}  // namespace levada
