#include "bus/courier.hpp"

#include <utility>
#include <vector>

#include "bus/with_operation.hpp"

namespace levada {
namespace {

/// Puts the operation before the message of a failure.
class named_intent final : public intent {
 public:
  named_intent(std::string operation, std::unique_ptr<intent> what)
      : intent{what->cost()}, operation_{std::move(operation)}, what_{std::move(what)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return what_->execute(scope); }
  void applied(commit_scope& scope) noexcept override { what_->applied(scope); }
  [[nodiscard]] bool alone() const noexcept override { return what_->alone(); }
  void finished(result<void> outcome) noexcept override {
    what_->finished(outcome ? std::move(outcome) : with_operation(operation_, outcome.error()));
  }

 private:
  std::string operation_;
  std::unique_ptr<intent> what_;
};

}  // namespace

courier::courier(clock& time, group_commit& commits, room journal)
    : time_{time},
      commits_{commits},
      journal_{std::move(journal)},
      worker_{time,
              {.name = "courier",
               .due = [this] { return due(); },
               .run = [this]() -> result<void> {
                 serve();
                 return {};
               },
               .failed = {},
               .retry = std::chrono::milliseconds{100}}} {}

void courier::stop(const error& why) {
  std::deque<submission> left;
  {
    const std::lock_guard guard{mutex_};
    stopped_ = true;
    why_stopped_ = why;
  }
  worker_.stop();
  {
    const std::lock_guard guard{mutex_};
    left.swap(outside_);
    bells_.clear();
    let_in_.notify_all();
  }
  for (auto& s : left) s.what->finished(with_operation(s.operation, why));
}

void courier::submit(std::string operation, std::unique_ptr<intent> i, group_commit::led_by who) {
  if (!worker_.start() && !worker_.stopping()) {
    i->finished(error{errc::out_of_resources, fmt::format("{}: there is no thread for it", operation)});
    return;
  }
  const bool is_short = i->cost() > 0 && (journal_.is_short() || !commits_.has_room(i->cost()));
  {
    std::unique_lock lock{mutex_};
    if (stopped_) {
      lock.unlock();
      i->finished(with_operation(operation, why_stopped_));
      return;
    }
    if (!outside_.empty() || is_short) {
      outside_.push_back({std::move(operation), std::move(i)});
      keeps_back_ = true;
    }
  }
  if (i) {
    commits_.submit(std::make_unique<named_intent>(std::move(operation), std::move(i)), who);
  } else {
    worker_.wake();
  }
}

void courier::wait_until_let_in() {
  if (!keeps_back_) return;
  std::unique_lock lock{mutex_};
  let_in_.wait(lock, [this] { return outside_.empty() || stopped_; });
}

clock::steady_time courier::due() {
  if (commits_.wants_leader()) return clock::steady_time::min();
  const std::lock_guard guard{mutex_};
  if (!outside_.empty()) return clock::steady_time::min();
  return bells_.empty() ? clock::steady_time::max() : bells_.begin()->first.first;
}

void courier::serve() {
  let_in();
  commits_.lead();
  ring_due();
}

void courier::let_in() {
  for (;;) {
    {
      const std::lock_guard guard{mutex_};
      if (outside_.empty() || stopped_) return;
    }
    const auto there = journal_.is_short() ? journal_.wait() : result<void>{};
    submission next;
    {
      const std::lock_guard guard{mutex_};
      next = std::move(outside_.front());  // nobody else takes from there
    }
    if (there) {
      commits_.make_room(next.what->cost());
      commits_.submit(std::make_unique<named_intent>(std::move(next.operation), std::move(next.what)));
    } else {
      next.what->finished(with_operation(next.operation, there.error()));
    }
    // Only now: who comes meanwhile, comes behind it.
    const std::lock_guard guard{mutex_};
    outside_.pop_front();
    if (!outside_.empty()) continue;
    keeps_back_ = false;
    let_in_.notify_all();
  }
}

courier::bell courier::ring(clock::steady_time when, std::function<void()> what) {
  bell which;
  {
    const std::lock_guard guard{mutex_};
    which = {when, ++last_bell_};
    if (stopped_) return which;
    bells_.emplace(which, std::move(what));
  }
  static_cast<void>(worker_.start());
  worker_.wake();
  return which;
}

void courier::silence(const bell& which) {
  const std::lock_guard guard{mutex_};
  bells_.erase(which);
}

void courier::ring_due() {
  for (;;) {
    std::function<void()> what;
    const auto now = time_.steady();  // the host's, so not with a lock held
    {
      const std::lock_guard guard{mutex_};
      if (bells_.empty() || bells_.begin()->first.first > now) return;
      what = std::move(bells_.begin()->second);
      bells_.erase(bells_.begin());
    }
    what();
  }
}

}  // namespace levada
