#pragma once

/// @file
/// What the limits of a log have no use for, and who needs it all the same. Known alike to the bus, which
/// gives it up, and to those who ask where a store's room has gone.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "group/offset_table.hpp"
#include "log/log_reader.hpp"
#include "log/log_state.hpp"
#include "queue/queue_blocks.hpp"
#include "storage/catalog.hpp"
#include "storage/job_file.hpp"

namespace levada {

/// The oldest offset to be kept, by partition.
using beginnings = std::vector<std::uint64_t>;

/// The offset by partition before which the limits of a policy leave nothing. `now` is the time of the bus,
/// in microseconds since 1970.
[[nodiscard]] result<beginnings> needless_before(const log::log_state& log, const storage::log_policy& policy,
                                                 std::int64_t now, log::log_reader& reader);

/// Calls `each(reference)` for every message that a queue still holds.
template <class Each>
[[nodiscard]] result<void> for_each_reference(const storage::main_environment& main, std::uint32_t queue,
                                              Each each) {
  constexpr std::size_t slice_blocks = 256;  // that are looked at in one transaction
  for (std::uint64_t next = 0;;) {
    auto txn = storage::read_transaction::begin(main.env());
    if (!txn) return txn.error();
    auto done = queue::for_some_unsettled(
        *txn, main.tables(), queue, next, slice_blocks,
        [&](std::uint64_t /*position*/, const queue::reference& where) { each(where); });
    if (!done) return done.error();
    if (!*done) return {};
    next = **done;
  }
}

/// Who reads logs, and how far each has come, by what is stored.
class log_readers {
 public:
  struct position {
    bool job = false;  ///< of another process; else a group
    std::string name;
    std::uint32_t partition = 0;
    std::uint64_t next = 0;
  };
  [[nodiscard]] static result<log_readers> read(const storage::main_environment& main,
                                                std::vector<storage::stored_job> jobs);

  /// Groups have one in partitions for which they have committed an offset, jobs in all that they read.
  [[nodiscard]] std::vector<position> of(const log::log_state& log) const;

 private:
  std::vector<storage::stored_job> jobs_;
  std::vector<group::offset_row> offsets_;
  std::vector<storage::group_entry> groups_;
  std::vector<storage::epoch_entry> epochs_;
};

}  // namespace levada
