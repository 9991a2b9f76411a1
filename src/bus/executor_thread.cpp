#include "bus/executor_thread.hpp"

#include <new>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>

namespace levada {

namespace asio = boost::asio;

struct executor_thread::state {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> open = asio::make_work_guard(context);
};

executor_thread::executor_thread() : state_{std::make_shared<state>()} {}

executor_thread::~executor_thread() {
  end();
}

asio::any_io_executor executor_thread::executor() {
  const std::lock_guard guard{mutex_};
  return ended_ ? asio::any_io_executor{asio::system_executor{}} : started();
}

asio::any_io_executor executor_thread::started() {
  if (!thread_.joinable()) {
    thread_ = std::thread{[kept = state_] { kept->context.run(); }};
    id_ = thread_.get_id();
  }
  return state_->context.get_executor();
}

bool executor_thread::inside() const noexcept {
  return id_.load() == std::this_thread::get_id();
}

void executor_thread::end() noexcept {
  std::thread thread;
  {
    const std::lock_guard guard{mutex_};
    ended_ = true;
    thread = std::move(thread_);
  }
  if (!thread.joinable()) return;
  asio::post(state_->context, [context = &state_->context] { context->stop(); });
  if (inside()) {
    thread.detach();
  } else {
    thread.join();
    id_ = std::thread::id{};  // another thread may get it
  }
}

void executor_thread::abandon() noexcept {
  // Neither joined nor detached, as the thread is not there, and its context not destroyed, as it may have
  // left any lock held: given up on purpose.
  static_cast<void>(new (std::nothrow) std::thread{std::move(thread_)});  // NOLINT
  static_cast<void>(new (std::nothrow) std::shared_ptr<state>{state_});   // NOLINT
}

}  // namespace levada
