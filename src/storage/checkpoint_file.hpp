#pragma once

/// @file
/// Makes an LMDB file that is written without flushes safe against power cuts: a side file keeps copies of a
/// meta page whose snapshot is wholly on disk, to be put back after the system went down.
///
/// What the owner of the data file has to do, in this order, for each checkpoint:
///  1. between two commits, begin a reader on the newest snapshot and `read_meta_page` of its transaction;
///  2. sync the data file, while commits may go on;
///  3. `checkpoint_file::write`;
///  4. only then end the reader of the checkpoint before.
/// So whenever the system goes down, the snapshot of the newest checkpoint on disk is on disk too, and no
/// commit has reused a page of it; from the third commit behind a snapshot that nobody pins on, LMDB does.
///
/// Each time the data file is opened, the first checkpoint comes before the first commit: pins end with the
/// process that held them, and behind `restore_meta_page` the boot id on record is an old one, so that the
/// death of the process alone would take the file back again.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <levada/error.hpp>

#include "storage/lmdb.hpp"
#include "storage/unique_fd.hpp"

namespace levada::storage {

/// Longest `checkpoint::boot_id`, in bytes.
inline constexpr std::size_t boot_id_bytes_max = 63;

/// What a checkpoint says.
struct checkpoint {
  /// That wrote the snapshot.
  std::uint64_t transaction = 0;
  /// Of the bus when the snapshot was taken, in microseconds since 1970.
  std::int64_t time = 0;
  /// Of the run of the system in which the checkpoint was written: if it is another one now, commits behind
  /// the snapshot may be there in part. At most `boot_id_bytes_max` bytes, none of them zero.
  std::string boot_id;
  /// A copy of LMDB's meta page: a power of two from 512 to 65,536 bytes.
  std::vector<std::byte> meta_page;

  bool operator==(const checkpoint&) const = default;
};

/// The side file, for its one writer: the owner of the store. It has two slots with a checksum each that are
/// written in turn, each in an area of its own, so that a write that is cut off never hurts the slot before.
/// Move-only; calls on one object must not overlap.
class checkpoint_file {
 public:
  /// Opens the file, or makes one that holds no checkpoint yet: a crash meanwhile leaves no file or a whole
  /// one, which takes the room of all later checkpoints. On return its name survives a power cut. Fails with
  /// `damaged` as `read` does, and then changes nothing.
  [[nodiscard]] static result<checkpoint_file> open_or_create(const std::filesystem::path& file);

  /// The newest checkpoint. Nothing where there is no file, or where the first write to it never came to an
  /// end. Changes nothing. Fails with `damaged` where the file is not one of these, or both slots have been
  /// written and neither is whole, which no crash leaves behind: what the data file needs is unknown then.
  /// Fails with `unsupported_format` where the newest checkpoint is of a later version.
  [[nodiscard]] static result<std::optional<checkpoint>> read(const std::filesystem::path& file);

  /// Replaces the older checkpoint, and flushes. A crash meanwhile leaves this checkpoint or the newest one
  /// before. So does an error: until a later write succeeds, both snapshots must stay pinned. After an error
  /// the same call may be tried again. Fails with `invalid_argument` where the fields do not keep their
  /// limits.
  [[nodiscard]] result<void> write(const checkpoint& what);

  /// Removes the file, and what a crash left of making it. On return that survives a power cut. No error
  /// where there is none. For when the data file was synced and will be written with flushes again.
  [[nodiscard]] static result<void> remove(const std::filesystem::path& file);

 private:
  checkpoint_file(unique_fd fd, std::filesystem::path file, std::uint64_t generation,
                  std::size_t slot) noexcept
      : fd_{std::move(fd)}, file_{std::move(file)}, next_generation_{generation}, next_slot_{slot} {}

  unique_fd fd_;
  std::filesystem::path file_;
  std::uint64_t next_generation_;
  std::size_t next_slot_;
};

/// A copy of the meta page of `transaction`, as long as that is the newest one on record in the data file;
/// otherwise nothing. One commit later it would still be there, but the second might be overwriting it at
/// this very moment, and LMDB's meta pages have no checksum that would tell. Fails with `damaged` where the
/// file is missing or is not LMDB's.
[[nodiscard]] result<std::optional<std::vector<std::byte>>> read_meta_page(
    const std::filesystem::path& data_file, std::uint64_t transaction);

/// Takes the data file back to the snapshot of `meta_page`, by writing it to both meta pages, each with its
/// own page number, and flushing. No environment may have the file open.
///
/// Before, every page of the snapshot is checked: if it is not there in full, for instance because the file
/// was replaced by another one, nothing is written, and the error is `damaged`. A crash or an error after
/// that leaves any mixture of old and new meta pages, and the snapshot as it was: the same call mends it.
[[nodiscard]] result<void> restore_meta_page(const std::filesystem::path& data_file, bytes meta_page);

}  // namespace levada::storage
