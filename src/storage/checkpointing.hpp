#pragma once

/// @file
/// Running a store without flushes: its checkpoints, and the snapshots that they pin.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "storage/checkpoint_file.hpp"
#include "storage/main_environment.hpp"

namespace levada::storage {

/// The checkpoints of an open store whose environment commits without flushing. One call at a time; `pin` and
/// `make_durable` may alternate with commits as they say.
class checkpointing {
 public:
  /// Makes the first checkpoint, which must come before the first commit.
  [[nodiscard]] static result<checkpointing> start(main_environment& main,
                                                   const std::filesystem::path& directory,
                                                   std::string boot_id, std::int64_t time);
  checkpointing(checkpointing&&) noexcept = default;
  checkpointing& operator=(checkpointing&&) = delete;

  /// Keeps the newest snapshot from being overwritten, so that it can become a checkpoint. Between two
  /// commits; `time` is that of the bus.
  [[nodiscard]] result<void> pin(const main_environment& main, std::int64_t time);
  /// Makes the pinned snapshot the one to go back to. Commits may go on meanwhile. Does nothing where nothing
  /// has been committed since the last time. After an error the snapshots stay pinned.
  [[nodiscard]] result<void> make_durable(main_environment& main);
  /// Makes everything durable, and the store one that needs no checkpoints. No commit may follow.
  [[nodiscard]] result<void> finish(main_environment& main);

 private:
  checkpointing(checkpoint_file file, std::filesystem::path directory, std::string boot_id)
      : file_{std::move(file)}, directory_{std::move(directory)}, boot_id_{std::move(boot_id)} {}

  struct pinned {
    read_transaction snapshot;
    checkpoint what;
  };
  checkpoint_file file_;
  std::filesystem::path directory_;  // of the main environment
  std::string boot_id_;
  std::vector<pinned> pins_;  // the last may not be durable yet
  std::uint64_t durable_transaction_ = 0;
};

/// Where checkpoints of the main environment in `directory` stand.
[[nodiscard]] std::filesystem::path checkpoint_path(const std::filesystem::path& directory);

/// Whether the main environment must be taken back before it may be read: it was written without flushes, and
/// the system has gone down since.
[[nodiscard]] result<bool> needs_restoring(const std::filesystem::path& directory,
                                           const std::string& boot_id);
/// Takes it back to its last checkpoint where that is needed; returns whether it was.
[[nodiscard]] result<bool> restore(const std::filesystem::path& directory, const std::string& boot_id);
/// Makes everything durable that was written without flushes, and forgets the checkpoints.
[[nodiscard]] result<void> end_checkpoints(main_environment& main, const std::filesystem::path& directory);

/// What the kernel calls this run of the system.
[[nodiscard]] std::string system_boot_id();

}  // namespace levada::storage
