#pragma once

/// @file
/// What a bus does for itself, beside its users' calls: sealing, and giving back what is no longer needed.

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>

#include "bus/wake_list.hpp"

#include <levada/error.hpp>

namespace levada {

class core;
class rewriting;

/// Safe to share.
class maintenance {
 public:
  explicit maintenance(core& owner);
  ~maintenance();
  /// Ends the thread, if there is one, and waits for it; wakes who waits for room.
  void stop();
  /// In a forked child, where the thread does not exist, and may have left any lock held.
  void abandon() noexcept;

  /// Does all that is due, in the calling thread.
  [[nodiscard]] result<void> run();
  /// To be called when there may be something to do: starts or wakes the thread, if the host wants one.
  void wake() noexcept;
  /// To be called when there will be something to do as time passes.
  void watch() noexcept;
  /// Waits until the journal has room for more. Fails with what keeps it from being sealed.
  [[nodiscard]] result<void> wait_for_room();

 private:
  void serve();
  [[nodiscard]] clock::steady_time next_look() const;
  [[nodiscard]] result<void> seal();
  [[nodiscard]] result<void> retain();
  [[nodiscard]] result<void> prune();
  [[nodiscard]] result<void> rewrite();
  void remove_dropped();

  core& owner_;
  bool abandoned_ = false;
  std::mutex working_;  // held by whoever does the work; guards `rewriting_`
  std::unique_ptr<rewriting> rewriting_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::unique_ptr<std::thread> thread_;
  bool stopping_ = false;
  std::uint64_t runs_ = 0;  // that have ended
  result<void> outcome_;    // of the last

  const std::shared_ptr<waiter> wanted_ = std::make_shared<waiter>();
};

}  // namespace levada
