#pragma once

/// @file
/// Which pages of an environment's file hold nothing.

#include <cstdint>
#include <functional>
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

/// The numbers of the pages that one transaction has freed. Valid as long as the snapshot.
class free_list {
 public:
  explicit free_list(bytes numbers) noexcept : numbers_{numbers} {}
  [[nodiscard]] std::size_t size() const noexcept { return numbers_.size() / sizeof(std::size_t); }
  [[nodiscard]] std::uint64_t operator[](std::size_t i) const noexcept;

 private:
  bytes numbers_;  // in the order and size of the machine's words
};

/// Shows the lists one by one, that of the oldest transaction first, until told to stop by a false. Returns
/// the size of a page. Fails with `damaged` where a list is not one.
[[nodiscard]] result<std::size_t> see_free_pages(
    const read_transaction& snapshot,
    const std::function<bool(std::uint64_t transaction, const free_list& list)>& see);

/// Fails with `damaged` where a list is not one.
[[nodiscard]] result<free_pages> read_free_pages(const read_transaction& snapshot);

}  // namespace levada::storage
