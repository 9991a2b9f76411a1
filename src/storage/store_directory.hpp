#pragma once

/// @file
/// The directory of a store: making it, refusing what is none, opening what is in it.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "storage/checkpointing.hpp"
#include "storage/main_environment.hpp"
#include "storage/owner_lock.hpp"
#include "storage/signal_page.hpp"

namespace levada::storage {

/// The directory of the main environment within a store's.
inline constexpr const char* main_directory_name = "main";

/// That of its segments.
inline constexpr const char* segments_directory_name = "segments";

/// That of the checkpoints of attached jobs.
inline constexpr const char* jobs_directory_name = "jobs";

/// Makes a new store at `directory`, where there must be nothing, or an empty directory. `fill` makes the
/// main environment in the directory that it is given, below which that of the segments is there already; it
/// returns whether the store is to be. Made in a temporary sibling directory, synced and renamed, so a crash
/// leaves nothing or a whole store. Fails with `store_in_use` where there is something.
using fill_function = std::function<result<bool>(const std::filesystem::path& directory)>;
[[nodiscard]] result<bool> make_store(const std::filesystem::path& directory, const fill_function& fill);

/// A store opened by its owner.
struct owned_store {
  /// Absent for an in-memory store, as is `signal`.
  std::optional<owner_lock> lock;
  std::optional<signal_page> signal;
  main_environment main;
  /// Where segments stand; for an in-memory store, where they may be made, to be unlinked at once.
  std::filesystem::path segments;
  /// Where the store is written without flushes.
  std::optional<storage::checkpointing> checkpoints = std::nullopt;
  /// Whether opening has taken it back to a checkpoint. A new epoch is to begin then.
  bool restored = false;
  /// The room of files without a name that nothing else here tells of.
  std::uint64_t nameless_bytes = 0;
};

/// A store opened by another process, read-only.
struct attached_store {
  process_claim claim;
  signal_page signal;
  main_environment main;
  std::filesystem::path segments;
  std::filesystem::path jobs;
};

struct store_options {
  bool create = true;
  std::size_t map_bytes = 0;
  /// The creation time to record, in microseconds since 1970.
  std::int64_t now = 0;
  /// Whether it is written without flushes, with checkpoints instead.
  bool checkpointed = false;
  /// What names this run of the system.
  std::string boot_id = system_boot_id();
  /// Whether every page is examined also where the store was closed in good order.
  bool examine_pages = false;
};

struct attaching_options {
  std::size_t map_bytes = 0;
  /// What names this run of the system; empty: the kernel's.
  std::string boot_id = {};
};

/// Opens the store in `directory` as its owner, making it first where there is none.
[[nodiscard]] result<owned_store> open_store(const std::filesystem::path& directory,
                                             const store_options& options);
/// Makes a store on an unlinked file below `parent`, without any flush.
[[nodiscard]] result<owned_store> open_memory_store(const std::filesystem::path& parent,
                                                    const store_options& options);
/// Opens the store in `directory` beside its owner. Refused where this process has it open already, and with
/// `recovery_needed` where it must be taken back to a checkpoint first.
[[nodiscard]] result<attached_store> attach_store(const std::filesystem::path& directory,
                                                  const attaching_options& options);

/// Refuses a place that is no store, or one that this process should not touch, without opening anything.
[[nodiscard]] result<void> examine_place(const std::filesystem::path& directory);
/// Fails with `recovery_needed` where the store, which nobody owns, must be taken back to a checkpoint before
/// it is read: until then its pages need not fit together. An empty id stands for the kernel's.
[[nodiscard]] result<void> examine_recovery(const std::filesystem::path& directory,
                                            const std::string& boot_id);

/// Whether `f_type` as reported by statfs(2) is a network file system, where neither LMDB's locks nor its map
/// can be trusted.
[[nodiscard]] bool is_network_filesystem(std::uint64_t f_type) noexcept;

}  // namespace levada::storage
