#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "bus/collector.hpp"
#include "bus/core.hpp"
#include "bus/executor_threads.hpp"
#include "bus/failure_notice.hpp"
#include "bus/host_call.hpp"
#include "bus/queue_consumer_state.hpp"

#include <levada/options.hpp>
#include <levada/push_consumer.hpp>

namespace levada {

/// Takes messages one behind the other, never two at a time; has them handled, and settles them, all in an
/// executor. Nobody waits in it but who closes it.
class push_consumer::impl final : public collector, public std::enable_shared_from_this<impl> {
 public:
  [[nodiscard]] static result<std::shared_ptr<impl>> start(std::shared_ptr<core> owner,
                                                           std::shared_ptr<queue_slot> queue,
                                                           async_delivery_handler handler,
                                                           const push_consumer_options& options);
  impl(std::shared_ptr<core> owner, async_delivery_handler handler, const push_consumer_options& options);
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;
  ~impl() override;

  void close() noexcept;
  [[nodiscard]] bool active() const noexcept { return !stop_; }
  [[nodiscard]] result<void> wait() const;
  [[nodiscard]] std::size_t unsettled() const { return consumer_->unsettled(); }
  [[nodiscard]] const std::string& queue() const noexcept { return consumer_->queue(); }
  [[nodiscard]] const std::shared_ptr<core>& owner() const noexcept { return owner_; }

  // Before the bus closes
  void hand_over() override { close(); }
  void end(const error&) noexcept override {}

 private:
  friend class delivery_handling::impl;
  /// One of `workers`: taken until its handler has returned and has answered.
  struct place {
    std::atomic<int> held_by{2};
  };

  enum class outcome_of_handling : std::uint8_t { acknowledge, requeue, reject, stop };

  void receive_some();
  void received(result<std::optional<delivery>> come);
  /// Takes what is there, as far as there are places.
  [[nodiscard]] result<void> fill_up();
  void receiving_failed(const error& why);
  void handle(const delivery& what);
  void answer(const delivery& what, const std::shared_ptr<place>& where, const result<void>& outcome);
  /// A call of the host's is over, and with it half of its place.
  void returned(place& where);
  void let_go(place& where);
  [[nodiscard]] outcome_of_handling judge(const delivery& what, const error& why) const;
  void settle(delivery_tag tag, outcome_of_handling how);
  void settled(delivery_tag tag, outcome_of_handling how, const result<void>& outcome);
  void settle_again();
  /// Has it called in a second, in the executor.
  void later(void (impl::*what)());
  void tell(const error& why) const;
  void stop(const error& why);
  /// Ends it, when it has been stopped and no handler is at work.
  void end_if_idle();

  [[nodiscard]] bool must_not_wait() const;
  [[nodiscard]] bool forked() const;
  // With mutex_ held:
  void begin_some();
  [[nodiscard]] bool wants_more() const noexcept { return !stop_ && ready_.size() < options_.workers; }

  const std::shared_ptr<core> owner_;
  const async_delivery_handler handler_;
  const push_consumer_options options_;
  std::shared_ptr<queue_consumer_state> consumer_;
  executor_threads workers_;
  boost::asio::any_io_executor executor_;
  failure_notice receiving_fails_;
  failure_notice settling_fails_;

  std::atomic<bool> stop_{false};
  std::atomic<bool> ended_{false};
  mutable std::mutex mutex_;  // guards what follows
  std::deque<delivery> ready_;
  std::size_t places_taken_ = 0;
  std::size_t calls_ = 0;  // of the host's code, and answers, that have not returned
  bool receiving_ = false;
  bool leaving_ = false;
  std::vector<std::pair<delivery_tag, outcome_of_handling>> to_settle_again_;
  std::optional<error> why_;
};

/// Answers once.
class delivery_handling::impl {
 public:
  impl(std::shared_ptr<push_consumer::impl> to, levada::delivery what,
       std::shared_ptr<push_consumer::impl::place> where)
      : to_{std::move(to)}, what_{std::move(what)}, where_{std::move(where)} {}

  [[nodiscard]] const levada::delivery& delivery() const noexcept { return what_; }
  void answer(const result<void>& outcome) {
    if (const auto to = std::move(to_)) to->answer(what_, where_, outcome);
  }

 private:
  std::shared_ptr<push_consumer::impl> to_;  // none: answered
  levada::delivery what_;
  std::shared_ptr<push_consumer::impl::place> where_;
};

}  // namespace levada
