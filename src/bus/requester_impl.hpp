#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "bus/core.hpp"
#include "bus/executor_threads.hpp"

#include <levada/queue.hpp>
#include <levada/requester.hpp>

namespace levada {

/// Knows which request a reply belongs to. Replies are looked at in a thread of its own, as those who wait
/// may be in any other.
class requester::impl : public std::enable_shared_from_this<impl> {
 public:
  impl(std::shared_ptr<core> owner, exclusive_queue queue, queue_consumer replies)
      : owner_{std::move(owner)}, queue_{std::move(queue)}, replies_{std::move(replies)} {}

  /// Begins to take replies. Fails with `out_of_resources`.
  [[nodiscard]] result<void> start();
  void close() noexcept;

  using outcome_function = std::function<void(result<gathered_replies>)>;
  /// Calls `done` once, in any thread, perhaps within the call.
  void begin(message request, reply_condition enough, std::chrono::milliseconds timeout,
             outcome_function done);
  [[nodiscard]] result<gathered_replies> run(message request, reply_condition enough,
                                             std::chrono::milliseconds timeout);

  [[nodiscard]] const std::shared_ptr<core>& owner() const noexcept { return owner_; }
  [[nodiscard]] const exclusive_queue& queue() const noexcept { return queue_; }
  [[nodiscard]] std::uint64_t late() const noexcept { return late_; }

 private:
  /// A request that waits.
  struct conversation {
    reply_condition enough;
    outcome_function done;
    std::mutex mutex;  // held while the condition looks at them
    gathered_replies so_far;
    courier::bell bell;
    bool rings = false;
  };

  void listen();
  void took(const delivery& reply);
  void settle(delivery_tag last);
  /// Nothing where another has taken it off.
  [[nodiscard]] std::shared_ptr<conversation> take(std::uint64_t number);
  void end(std::uint64_t number, const error* why);
  void end_all(const error& why);

  const std::shared_ptr<core> owner_;
  exclusive_queue queue_;
  queue_consumer replies_;
  executor_threads thread_;
  std::atomic<std::uint64_t> late_{0};
  std::uint64_t unsettled_ = 0;  // the thread's alone

  std::mutex mutex_;  // guards what follows
  std::map<std::uint64_t, std::shared_ptr<conversation>> waiting_;
  std::uint64_t last_number_ = 0;
  std::optional<error> ended_;
};

}  // namespace levada
