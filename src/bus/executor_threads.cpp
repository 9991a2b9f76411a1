#include "bus/executor_threads.hpp"

#include <new>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>

namespace levada {

namespace asio = boost::asio;

namespace {

/// Whose thread this is; not looked up under a lock, as a forked child asks too.
thread_local const void* runs_for = nullptr;

}  // namespace

struct executor_threads::state {
  explicit state(std::size_t threads) : context{static_cast<int>(threads)} {}
  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> open = asio::make_work_guard(context);
};

executor_threads::executor_threads(std::size_t count)
    : count_{count}, state_{std::make_shared<state>(count)} {}

executor_threads::~executor_threads() {
  end();
}

asio::any_io_executor executor_threads::executor() {
  const std::lock_guard guard{mutex_};
  return ended_ ? asio::any_io_executor{asio::system_executor{}} : started();
}

asio::any_io_executor executor_threads::started() {
  while (threads_.size() < count_) {
    threads_.emplace_back([kept = state_] {
      runs_for = kept.get();
      kept->context.run();
    });
  }
  return state_->context.get_executor();
}

bool executor_threads::inside() const noexcept {
  return runs_for == state_.get();
}

void executor_threads::end() noexcept {
  end(leftovers::give_up);
}

void executor_threads::finish() noexcept {
  end(leftovers::run);
}

void executor_threads::end(leftovers what) noexcept {
  std::vector<std::thread> threads;
  {
    const std::lock_guard guard{mutex_};
    ended_ = true;
    threads.swap(threads_);
  }
  if (threads.empty()) return;
  if (what == leftovers::run) {
    // Who posts holds on to the context by what counts as work, until he has returned.
    state_->open.reset();
  } else {
    // What was posted before has begun when this does.
    asio::post(state_->context, [context = &state_->context] { context->stop(); });
  }
  for (std::thread& thread : threads) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

void executor_threads::abandon() noexcept {
  // Neither joined nor detached, as the threads are not there, and their context not destroyed, as they may
  // have left any lock held: given up on purpose.
  static_cast<void>(new (std::nothrow) std::vector<std::thread>{std::move(threads_)});  // NOLINT
  static_cast<void>(new (std::nothrow) std::shared_ptr<state>{state_});                 // NOLINT
}

}  // namespace levada
