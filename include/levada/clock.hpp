#pragma once

/// @file
/// Where all time comes from, so that tests can drive it by hand.

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include <levada/export.hpp>
#include <levada/types.hpp>

namespace levada {

/// What a waiting call sleeps on. Shared, because a clock may wake it while its owner goes away.
struct wait_point {
  std::mutex mutex;
  std::condition_variable wakeup;
};

/// The source of time of a bus: wall-clock time for timestamps, steady time for time-outs.
/// All members may be called from any thread.
class LEVADA_EXPORT clock {
 public:
  /// Steady time: monotonic, from an arbitrary origin.
  using steady_time = std::chrono::nanoseconds;

  virtual ~clock();

  /// The wall-clock time now. May jump; the bus never lets time fall within a partition all the same.
  [[nodiscard]] virtual timestamp wall() const = 0;
  /// The steady time now.
  [[nodiscard]] virtual steady_time steady() const = 0;
  /// Sleeps until `point` is notified or `steady()` has reached `deadline`; may wake for no reason.
  /// Precondition: `lock` holds `point->mutex`, and holds it again on return.
  virtual void wait_until(const std::shared_ptr<wait_point>& point, std::unique_lock<std::mutex>& lock,
                          steady_time deadline) = 0;

  /// The operating system's clocks.
  [[nodiscard]] static std::shared_ptr<clock> system();
};

/// A clock that moves only when told to. Blocking calls of a bus that uses it return when `advance` takes
/// them past their time-out, or earlier when what they wait for happens.
class LEVADA_EXPORT manual_clock final : public clock {
 public:
  /// Starts at `now`; steady time starts at zero.
  explicit manual_clock(timestamp now = timestamp{std::chrono::seconds{1'600'000'000}});
  ~manual_clock() override;

  [[nodiscard]] timestamp wall() const override;
  [[nodiscard]] steady_time steady() const override;
  void wait_until(const std::shared_ptr<wait_point>& point, std::unique_lock<std::mutex>& lock,
                  steady_time deadline) override;

  /// Moves both times on by `by` (not negative) and wakes every call whose time-out has come.
  void advance(std::chrono::microseconds by);
  /// Sets the wall-clock time alone, as an administrator or NTP would; it may jump back.
  void set_wall(timestamp now);
  /// Blocks until at least `n` calls wait on this clock: lets a test advance time at the right moment without
  /// sleeping.
  void wait_for_waiters(std::size_t n);

 private:
  mutable std::mutex mutex_;
  std::condition_variable waiters_changed_;
  timestamp wall_;
  steady_time steady_{};
  std::vector<std::shared_ptr<wait_point>> waiters_;
};

}  // namespace levada
