#pragma once

/// @file
/// Copies of a whole store, taken while it is in use.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include <levada/error.hpp>
#include <levada/export.hpp>

namespace levada {

/// How far a copy has come.
struct backup_progress {
  /// Bytes of files that are in place, copied or linked.
  std::uint64_t done = 0;
  /// Bytes of all.
  std::uint64_t total = 0;
};

/// How a store is copied.
struct backup_options {
  /// Whether sealed segments, which never change, are shared with the original as hard links where both lie
  /// on one file system: that takes no time and no room, but what destroys the one destroys the other.
  /// Default: yes.
  bool hard_links = true;
  /// Called in the calling thread after each file. Default: none.
  std::function<void(const backup_progress&)> progress = nullptr;
  /// As `bus_options::boot_id`. Default: the kernel's.
  std::string boot_id = {};
};

/// What a copy consists of.
struct backup_report {
  std::uint64_t segments = 0;
  /// Bytes that have been written.
  std::uint64_t bytes_copied = 0;
  /// Bytes that are shared with the original.
  std::uint64_t bytes_linked = 0;
};

/// Copies the store in `from`, which another process may own and write meanwhile, to `to`, which must not
/// exist or be an empty directory: all topics, offsets and queues as of one commit. The copy is a store like
/// any other: it can be opened as a bus of its own, attached to, checked, or copied back (which is how to
/// restore it). It is durable on return, and appears under its name only when it is whole.
///
/// The owner goes on meanwhile; pages that it frees are used again only once its main file is copied, so
/// that file may grow by what is written until then. Checkpoints of attached jobs are not copied.
///
/// Fails with `store_not_found` or what `attachment::open` fails with, with `store_in_use` in the process
/// that owns the store (`bus::backup` is for that), `invalid_argument` where `to` is taken, `disk_full`,
/// `permission_denied` or `io_error`; nothing is left at `to` then.
[[nodiscard]] LEVADA_EXPORT result<backup_report> backup_store(const std::filesystem::path& from,
                                                               const std::filesystem::path& to,
                                                               const backup_options& options = {});

}  // namespace levada
