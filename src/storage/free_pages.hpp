#pragma once

/// @file
/// Which pages of an environment's file hold nothing.

#include <cstdint>
#include <vector>

#include "storage/lmdb.hpp"

namespace levada::storage {

struct free_pages {
  struct freed {
    std::uint64_t transaction = 0;  ///< that had no more use for them
    std::uint64_t pages = 0;
  };
  std::uint64_t page_size = 0;
  /// Pages from the file's beginning that have ever been used.
  std::uint64_t used_ever = 0;
  /// Of these, the ones that are free as of the snapshot, by transaction. Those that a transaction has freed
  /// are used again when no snapshot from it or before is held.
  std::vector<freed> lists;
};

/// Fails with `damaged` where a list is not one.
[[nodiscard]] result<free_pages> read_free_pages(const read_transaction& snapshot);

}  // namespace levada::storage
