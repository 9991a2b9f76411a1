#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "bus/collector.hpp"
#include "bus/core.hpp"
#include "bus/executor_threads.hpp"
#include "bus/failure_notice.hpp"
#include "bus/handling_queue.hpp"
#include "bus/host_call.hpp"
#include "bus/wake_list.hpp"

#include <levada/consumer.hpp>
#include <levada/rebalancing.hpp>
#include <levada/subscription.hpp>

namespace levada {

/// A thread polls, commits, and gives partitions up; handlers run in an executor.
class subscription::impl final : public collector, public std::enable_shared_from_this<impl> {
 public:
  using join_function = std::function<result<consumer>(const consumer_options&)>;
  /// Joins with `join`, and begins.
  [[nodiscard]] static result<std::shared_ptr<impl>> start(std::shared_ptr<core> owner,
                                                           const std::string& operation,
                                                           const join_function& join,
                                                           async_record_handler handler,
                                                           const subscription_options& options);
  impl(std::shared_ptr<core> owner, async_record_handler handler, const subscription_options& options);

  void close() noexcept;
  /// Lets go of its thread; once, after `close`.
  void leave_thread() noexcept;
  [[nodiscard]] bool active() const noexcept { return !stop_; }
  [[nodiscard]] result<void> wait() const;
  [[nodiscard]] std::size_t pending() const;
  [[nodiscard]] std::vector<topic_partition> assignment() const;
  [[nodiscard]] const consumer& member() const noexcept { return *member_; }
  [[nodiscard]] const std::shared_ptr<core>& owner() const noexcept { return owner_; }

  // Before the bus closes
  void hand_over() override { close(); }
  void end(const error&) noexcept override {}

 private:
  friend class record_handling::impl;
  /// A call of the host's code.
  struct handler_call;

  // In the subscription's thread
  void serve();
  void read_some();
  /// `again` has noted what is tried again.
  void take_note_of(const error& failure, failure_notice& again);
  [[nodiscard]] std::chrono::milliseconds time_to_commit() const;
  void commit_settled();
  /// Stops reading while there is enough to be done.
  void heed_limit();
  void revoke(revocation& given_up);
  void assigned(new_assignment& come);
  void lost(std::span<const topic_partition> gone);
  /// Returns when nothing of these is being handled, or the member's time is over.
  void wait_for_handlers(std::span<const topic_partition> partitions);
  [[nodiscard]] bool in_group() const;
  void wait_for_calls();
  void tell(const error& why);
  void tell_host(const error& why) const;

  // Where handlers run
  void work();
  void answer(handling_queue::entry e, result<void> outcome);
  [[nodiscard]] failed_handling judge(const handling_queue::entry& e, const error& why) const;
  void handle_again(handling_queue::entry e);

  /// Whether the calling thread is one that it waits for: a call of the host's, or a commit.
  [[nodiscard]] bool must_not_wait() const;
  [[nodiscard]] bool forked() const;
  void begin_some();            // mutex_ is held
  void wake_for_commit();       // mutex_ is held
  void stop(const error& why);  // mutex_ is held
  [[nodiscard]] bool full() const noexcept {
    return queue_.size() + poll_records_max_ > options_.records_max;
  }

  const std::shared_ptr<core> owner_;
  const async_record_handler handler_;
  const subscription_options options_;
  const std::size_t poll_records_max_;
  std::unique_ptr<consumer> member_;  // but for its `wakeup`, the subscription's thread's alone
  std::shared_ptr<group_slot> group_;
  executor_threads workers_;
  boost::asio::any_io_executor executor_;
  std::thread thread_;
  bool paused_ = false;
  bool revoked_some_ = false;
  failure_notice handovers_;
  failure_notice commits_;

  std::atomic<bool> stop_{false};
  std::atomic<bool> ended_{false};
  const std::shared_ptr<waiter> handled_ = std::make_shared<waiter>();  // signalled while `waits_`
  mutable std::mutex mutex_;                                            // guards what follows
  handling_queue queue_;
  std::size_t places_taken_ = 0;  // of `workers`: by handlers, and by who is to call one
  std::size_t calls_ = 0;         // of handlers that have not returned
  bool halted_ = false;           // nothing more is begun with
  bool waits_ = false;
  bool wants_room_ = false;
  bool commit_wanted_ = false;
  clock::steady_time next_commit_{};
  std::vector<topic_partition> assignment_;
  std::optional<error> why_;
};

/// Answers once.
class record_handling::impl {
 public:
  impl(std::shared_ptr<subscription::impl> to, handling_queue::entry e)
      : to_{std::move(to)}, entry_{std::move(e)} {}

  [[nodiscard]] const record_view& record() const noexcept { return entry_.record(); }
  void answer(result<void> outcome);

 private:
  std::shared_ptr<subscription::impl> to_;  // none: answered
  handling_queue::entry entry_;
};

}  // namespace levada
