#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include <levada/bus.hpp>

#include "call_register.hpp"
#include "event.hpp"
#include "reporter.hpp"
#include "worker.hpp"

namespace emergency {

/// Counts the alerts that subscribers have been handed and not yet acknowledged.
class unsettled_alerts {
 public:
  void add(std::size_t n);
  void remove(std::size_t n);
  /// Returns when there are none.
  void wait_for_none();

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  std::size_t count_ = 0;
};

/// What subscribers work with; outlives them.
struct subscriber_tools {
  levada::bus& bus;
  levada::topic acceptances;
  call_register& calls;
  reporter& out;
  unsettled_alerts& unsettled;
};

/// Someone who cares for some lines, with an anonymous queue and a thread. A desk, whose scope is an area,
/// also accepts the calls. `expect` and `leave` are for one thread.
class subscriber {
 public:
  /// Joins: declares the queue, binds it, and begins to receive.
  subscriber(subscriber_id id, scope lines, subscriber_tools tools);
  /// Drops what is in the queue; `leave` and `wait` first, unless the host fails.
  ~subscriber();
  subscriber(const subscriber&) = delete;
  subscriber& operator=(const subscriber&) = delete;

  [[nodiscard]] const scope& lines() const { return lines_; }
  /// One more alert is about to be put into the queue.
  void expect();
  /// Unbinds the queue. What is in it is still received; then the queue goes.
  void leave();
  /// Has left and has nothing more to do.
  [[nodiscard]] bool is_done() const { return done_; }
  /// Returns when that is so.
  void wait() { worker_.join(); }

 private:
  void receive_all();
  void handle(const std::vector<levada::delivery>& taken);
  void settled(std::size_t n);

  const subscriber_id id_;
  const scope lines_;
  const subscriber_tools tools_;
  levada::exclusive_queue queue_;
  levada::queue_consumer consumer_;
  std::mutex mutex_;
  std::size_t expected_ = 0;  // alerts handed and not acknowledged
  bool leaving_ = false;
  std::atomic<bool> done_ = false;
  worker worker_;  // last: uses all the others
};

}  // namespace emergency
