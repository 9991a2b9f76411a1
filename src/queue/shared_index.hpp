#pragma once

/// @file
/// Entries that several queues have in common, stored once: in blocks of a shared index, which lie in the
/// table of the queues under an id of their own. A queue notes stretches of blocks that it finds there;
/// beside them it has rows of its own for what is different with it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>

#include "queue/queue_blocks.hpp"

namespace levada::queue {

/// Ids of shared indexes begin here: the catalogue, which counts objects one by one, does not come so far.
inline constexpr std::uint32_t first_shared_index = std::uint32_t{1} << 31;
[[nodiscard]] constexpr bool is_shared_index(std::uint32_t id) noexcept {
  return id >= first_shared_index;
}

/// Blocks of a queue, from `from` up to before `until`, that are those of an index: block n is its n + shift,
/// modulo 2^64. Of a block here,
/// - a row with entries that the queue has itself tells the first of them, and the bits; the rest is shared;
/// - a row without entries tells the bits;
/// - without a row, nothing of it is settled.
/// Elsewhere a block without a row is settled.
struct shared_span {
  static constexpr std::uint64_t open = std::numeric_limits<std::uint64_t>::max();
  std::uint32_t index = 0;
  std::uint32_t unused = 0;
  std::uint64_t from = 0;
  std::uint64_t until = open;  ///< `open`: what is appended to the index is the queue's as well
  std::uint64_t shift = 0;
  bool operator==(const shared_span&) const = default;
};

/// All stretches of a queue, in order; only the last may be open.
class shared_spans {
 public:
  static constexpr std::size_t most = 4;
  [[nodiscard]] const shared_span* begin() const noexcept { return all_.data(); }
  [[nodiscard]] const shared_span* end() const noexcept { return all_.data() + count_; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool full() const noexcept { return count_ == most; }
  /// In which a block lies, or null.
  [[nodiscard]] shared_span* find(std::uint64_t number) noexcept;
  [[nodiscard]] const shared_span* find(std::uint64_t number) const noexcept;
  /// The one that is open, or null.
  [[nodiscard]] shared_span* open() noexcept;
  /// Unless `full`.
  void add(const shared_span& span) noexcept { all_[count_++] = span; }
  void erase(const shared_span* span) noexcept;
  /// The first block of an index that is needed; nothing where none is.
  [[nodiscard]] std::optional<std::uint64_t> needed_of(std::uint32_t index) const noexcept;

 private:
  std::array<shared_span, most> all_{};
  std::size_t count_ = 0;
};

[[nodiscard]] result<shared_spans> read_shares(const storage::transaction& txn,
                                               const storage::main_tables& tables, std::uint32_t queue);
/// Erases the row where there is nothing to tell.
[[nodiscard]] result<void> write_shares(storage::write_transaction& txn, const storage::main_tables& tables,
                                        std::uint32_t queue, const shared_spans& spans);

/// What stands in an index from a block on, and what is appended to it, is the queue's as well: from the
/// beginning of the queue's next block on, so that a rest of the last one counts as settled. Changes the
/// queue's row, which has yet to get what stands there, and to be written. Returns false where the queue's
/// stretches are `full`: nothing has happened then.
[[nodiscard]] result<bool> start_sharing(storage::write_transaction& txn, const storage::main_tables& tables,
                                         std::uint32_t queue, queue_row& row, std::uint32_t index,
                                         std::uint64_t index_block);
/// No more. Nothing where the queue is not at an index. Changes the queue's row, which has yet to be written.
[[nodiscard]] result<void> stop_sharing(storage::write_transaction& txn, const storage::main_tables& tables,
                                        std::uint32_t queue, queue_row& row);
/// Gives a queue all blocks itself that it shares, but those of which `skip` is true; they are then settled.
/// The queue's row has yet to be written, with no index.
[[nodiscard]] result<void> own_all(storage::write_transaction& txn, const storage::main_tables& tables,
                                   std::uint32_t queue, const std::function<bool(std::uint64_t)>& skip);

}  // namespace levada::queue
