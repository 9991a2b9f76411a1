#pragma once

/// @file
/// Reading what is left of a segment whose file is damaged, with plain reads: LMDB is not asked, as it trusts
/// every number that it finds.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "storage/sealed_batch.hpp"
#include "storage/segment_file.hpp"
#include "storage/unique_fd.hpp"

#include <levada/error.hpp>

namespace levada::storage {

/// The batches of a damaged segment. Looks for leaves of its tree anywhere in the file, as the way to them
/// may be lost, and takes a batch for good if and only if its checksum, which covers its key, is right. Not
/// safe to share.
class segment_salvage {
 public:
  /// Searches the file. Null where there is none. Fails only where it cannot be read.
  [[nodiscard]] static result<std::optional<segment_salvage>> open(const std::filesystem::path& file);

  /// The keys of the batches that are good, sorted.
  [[nodiscard]] const std::vector<batch_key>& good() const noexcept { return good_keys_; }
  /// Keys that were found without a batch that is good, sorted.
  [[nodiscard]] const std::vector<batch_key>& bad() const noexcept { return bad_; }
  /// What the segment says of itself, where that can be read.
  [[nodiscard]] const std::optional<segment_identity>& identity() const noexcept { return identity_; }

  /// The `index`-th of the good batches; it borrows from this object until the next call. Nothing where it is
  /// not good any more.
  [[nodiscard]] result<std::optional<batch_view>> read(std::size_t index);
  /// Closes the file until something is read again: there may be many damaged ones.
  void rest() noexcept { fd_.reset(); }

 private:
  /// Where a value lies in the file.
  struct place {
    batch_key key;
    std::uint64_t begin = 0;
    std::size_t size = 0;
    std::uint64_t leaf = 0;  ///< the page whose node names it
  };
  /// Pages that belong to one value.
  struct extent {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  segment_salvage(unique_fd fd, std::filesystem::path file, std::uint64_t size) noexcept
      : fd_{std::move(fd)}, file_{std::move(file)}, size_{size} {}

  [[nodiscard]] result<void> find_page_size();
  [[nodiscard]] result<void> find_places();
  void take_leaf(const std::byte* page, std::uint64_t number);
  [[nodiscard]] result<void> judge();
  [[nodiscard]] result<bool> is_good(const place& p, batch_view& batch);
  [[nodiscard]] result<bool> is_one_run(const place& p, std::uint64_t page);

  unique_fd fd_;
  std::filesystem::path file_;
  std::uint64_t size_;
  std::size_t page_size_ = 0;
  std::vector<place> places_;
  std::vector<place> good_;
  std::vector<batch_key> good_keys_;
  std::vector<batch_key> bad_;
  std::optional<segment_identity> identity_;
  std::vector<std::uint64_t> value_;  // aligned as batches are
};

}  // namespace levada::storage
