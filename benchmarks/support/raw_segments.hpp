#pragma once

/// @file
/// The least that a pass over segments costs.

#include <cstdint>
#include <filesystem>

namespace levada::bench {

/// Goes through all entries of all segments in a directory with LMDB's cursors, and through all their bytes:
/// with the hash that levada verifies, or else by adding up one word of each 128 bytes, about a record's.
/// Returns what came of it. Throws std::runtime_error.
[[nodiscard]] std::uint64_t scan_segments(const std::filesystem::path& directory, bool hash);

}  // namespace levada::bench
