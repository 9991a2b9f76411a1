#pragma once

/// @file
/// When checkpoints are made, in the durability mode that has them.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <vector>

#include "bus/failure_notice.hpp"
#include "bus/worker.hpp"
#include "storage/checkpointing.hpp"

#include <levada/error.hpp>
#include <levada/options.hpp>

namespace levada {

class core;

/// Safe to share.
class checkpointer {
 public:
  checkpointer(core& owner, storage::checkpointing& store, checkpointed mode);
  /// As a worker's.
  void stop() { worker_.stop(); }
  void abandon() noexcept { worker_.abandon(); }

  /// Makes everything durable that has been committed up to now.
  [[nodiscard]] result<void> run();
  /// Makes everything durable for good: no commit follows.
  [[nodiscard]] result<void> finish();

  /// To be called by the committing thread after each commit, with what it has added.
  void committed(std::uint64_t bytes) noexcept;
  /// Whether publishers have to wait for a checkpoint.
  [[nodiscard]] bool full() const noexcept;
  [[nodiscard]] result<void> wait_for_room();

  /// When the state was committed that the store would go back to, in microseconds since 1970.
  [[nodiscard]] std::int64_t last_time() const noexcept { return last_time_.load(); }
  /// When the oldest commit since was made, steady; nothing where there is none.
  [[nodiscard]] std::optional<clock::steady_time> first_unsafe() const noexcept {
    const std::int64_t saving = saving_.load();
    const std::int64_t first = saving != none ? saving : first_unsafe_.load();
    if (first == none) return std::nullopt;
    return clock::steady_time{first};
  }

 private:
  class pin_intent;
  [[nodiscard]] clock::steady_time due() const noexcept;
  void not_saved() noexcept;

  core& owner_;
  storage::checkpointing& store_;
  const checkpointed mode_;

  std::mutex running_;                          // held by whoever makes a checkpoint; guards `dropped_`
  std::vector<std::filesystem::path> dropped_;  // that only the last durable checkpoint may name
  std::atomic<std::int64_t> last_time_{0};
  std::atomic<std::uint64_t> bytes_{0};  // written since, about
  static constexpr std::int64_t none = INT64_MIN;
  // Steady nanoseconds, or none: of the first commit that no checkpoint has, and of the first one that the
  // checkpoint under way is about to have.
  std::atomic<std::int64_t> first_unsafe_{none};
  std::atomic<std::int64_t> saving_{none};

  failure_notice failures_;
  worker worker_;
};

}  // namespace levada
