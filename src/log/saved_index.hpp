#pragma once

/// @file
/// What is known in memory of the journal's rows, as bytes: saved when a store is closed, so that opening it
/// need not read the journal. docs/storage-format.md has the picture.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "log/journal_index.hpp"

namespace levada::log {

/// The state of the store for which a saved index holds.
struct index_stamp {
  std::uint64_t sealed = 0;  ///< rows up to this one are in segments
  std::uint64_t layout = 0;  ///< of the catalogue
  std::uint64_t last = 0;    ///< the last row
  bool operator==(const index_stamp&) const = default;
};

/// Puts the indexes of `logs` into bytes.
[[nodiscard]] std::vector<std::byte> save_index(const std::vector<const log_state*>& logs,
                                                const journal_extent& extent, const index_stamp& stamp);
/// Where a partition ended when an index was saved.
struct saved_end {
  std::uint32_t log = 0;
  std::uint32_t partition = 0;
  std::uint64_t end = 0;
};
/// The ends that a saved index names, of whichever state of the store it is; as many as can be understood.
[[nodiscard]] std::vector<saved_end> saved_ends(std::span<const std::byte> saved);

/// Gives the logs that `find` returns their rows back, as `index_journal` would. Nothing, and nothing
/// changed, where the bytes are of another state of the store, or cannot be understood.
[[nodiscard]] std::optional<journal_extent> load_index(std::span<const std::byte> saved,
                                                       const index_stamp& stamp,
                                                       const find_log_function& find);

}  // namespace levada::log
