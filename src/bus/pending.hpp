#pragma once

/// @file
/// An asynchronous call that has not been answered yet.

#include <utility>

#include <boost/asio/any_completion_executor.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include "bus/core.hpp"

#include <levada/async.hpp>

namespace levada {

/// Posts from a thread that is not the executor's: its context may end as soon as `what` has run, but not
/// before this is through with it.
template <class Function>
void post_to(boost::asio::any_io_executor to, Function what) {
  const auto busy = boost::asio::prefer(to, boost::asio::execution::outstanding_work.tracked);  // goes last
  const auto executor = std::move(to);
  boost::asio::post(executor, std::move(what));
}

/// Keeps the handler, and its executor busy, until the answer is there. Move-only.
template <class T>
class pending {
 public:
  /// Where the handler has no executor of its own, it runs in the bus's.
  pending(detail::completion<T> done, core& owner)
      : executor_{done.executor() ? done.executor() : owner.executor()},
        handler_{std::move(done).take()},
        work_{boost::asio::prefer(boost::asio::get_associated_executor(handler_, executor_),
                                  boost::asio::execution::outstanding_work.tracked)} {}

  /// Where the handler runs.
  [[nodiscard]] const boost::asio::any_io_executor& executor() const noexcept { return executor_; }
  /// Answers, once: the handler runs later, by its executor.
  void answer(result<T> r) {
    slot().clear();
    const auto busy = std::move(work_);  // goes last: from then on the context may be gone
    const auto executor = std::move(executor_);
    boost::asio::post(executor, boost::asio::append(std::move(handler_), std::move(r)));
  }
  /// Answers from within that executor: the handler may run before this returns.
  void answer_here(result<T> r) {
    slot().clear();
    const auto busy = std::move(work_);
    const auto executor = std::move(executor_);
    boost::asio::dispatch(executor, boost::asio::append(std::move(handler_), std::move(r)));
  }
  /// Where cancelling is told of.
  [[nodiscard]] boost::asio::cancellation_slot slot() const {
    return boost::asio::get_associated_cancellation_slot(handler_);
  }

 private:
  boost::asio::any_io_executor executor_;
  typename detail::completion<T>::handler_type handler_;
  boost::asio::any_completion_executor work_;
};

}  // namespace levada
