#pragma once

/// @file
/// The least that a pass over segments costs.

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace levada::bench {

/// One of several threads that share the work of a scan.
struct share {
  std::size_t index = 0;
  std::size_t of = 1;
};

/// Goes through all entries of all segments in a directory with LMDB's cursors, and through all their bytes:
/// with the hash that levada verifies, or else by adding up one word of each 128 bytes, about a record's.
/// A share of it looks at each `of`-th entry only. Returns what came of it. Throws std::runtime_error.
[[nodiscard]] std::uint64_t scan_segments(const std::filesystem::path& directory, bool hash, share part = {});

}  // namespace levada::bench
