#pragma once

/// @file
/// The directory of a store: making it, refusing what is none, opening what is in it.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "storage/main_environment.hpp"
#include "storage/owner_lock.hpp"
#include "storage/signal_page.hpp"

namespace levada::storage {

/// A store opened by its owner.
struct owned_store {
  /// Absent for an in-memory store, as is `signal`.
  std::optional<owner_lock> lock;
  std::optional<signal_page> signal;
  main_environment main;
  /// Where segments stand; for an in-memory store, where they may be made, to be unlinked at once.
  std::filesystem::path segments;
};

/// A store opened by another process, read-only.
struct attached_store {
  process_claim claim;
  signal_page signal;
  main_environment main;
  std::filesystem::path segments;
};

struct store_options {
  bool create = true;
  std::size_t map_bytes = 0;
  /// The creation time to record, in microseconds since 1970.
  std::int64_t now = 0;
};

/// Opens the store in `directory` as its owner, making it first where there is none.
[[nodiscard]] result<owned_store> open_store(const std::filesystem::path& directory,
                                             const store_options& options);
/// Makes a store on an unlinked file below `parent`, without any flush.
[[nodiscard]] result<owned_store> open_memory_store(const std::filesystem::path& parent,
                                                    const store_options& options);
/// Opens the store in `directory` beside its owner. Refused where this process has it open already.
[[nodiscard]] result<attached_store> attach_store(const std::filesystem::path& directory,
                                                  std::size_t map_bytes);

/// Refuses a place that is no store, or one that this process should not touch, without opening anything.
[[nodiscard]] result<void> examine_place(const std::filesystem::path& directory);

/// Whether `f_type` as reported by statfs(2) is a network file system, where neither LMDB's locks nor its map
/// can be trusted.
[[nodiscard]] bool is_network_filesystem(std::uint64_t f_type) noexcept;

}  // namespace levada::storage
