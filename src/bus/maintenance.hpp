#pragma once

/// @file
/// What a bus does for itself, beside its users' calls: sealing, and giving back what is no longer needed.

#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "bus/failure_notice.hpp"
#include "bus/worker.hpp"

#include <levada/error.hpp>

namespace levada {

class core;
class rewriting;
struct held_back;

/// Safe to share.
class maintenance {
 public:
  explicit maintenance(core& owner);
  ~maintenance();
  /// As a worker's.
  void stop() { worker_.stop(); }
  void abandon() noexcept { worker_.abandon(); }

  /// Does all that is due, in the calling thread.
  [[nodiscard]] result<void> run();
  /// To be called when there may be something to do: starts or wakes the thread, if the host wants one.
  void wake() noexcept;
  /// To be called when there will be something to do as time passes.
  void watch() noexcept;
  /// Waits until the journal has room for more. Fails with what keeps it from being sealed.
  [[nodiscard]] result<void> wait_for_room();

 private:
  [[nodiscard]] clock::steady_time next_look() const;
  [[nodiscard]] result<void> work();
  void note_failure(const error& why);
  [[nodiscard]] result<bool> seal();
  [[nodiscard]] result<void> retain();
  [[nodiscard]] result<void> prune();
  [[nodiscard]] result<void> rewrite();
  void remove_dropped();
  [[nodiscard]] bool in_background() const;
  [[nodiscard]] bool sealing_is_due() const;

  core& owner_;
  std::mutex working_;  // held by whoever does the work; guards the next four
  std::unique_ptr<rewriting> rewriting_;
  std::vector<held_back> held_back_;  // as of the last look
  bool told_of_jobs_ = false;         // that they could not be read then
  struct dropped_file {
    std::filesystem::path path;
    std::uint64_t bytes = 0;
  };
  std::deque<dropped_file> dropped_;  // still to be removed

  failure_notice failures_;
  std::atomic<clock::steady_time> looked_;  // when retention was last looked at
  worker worker_;
};

}  // namespace levada
