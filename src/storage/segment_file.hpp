#pragma once

/// @file
/// Sealed segments: LMDB environments of one file that are written once and never changed. Opened without
/// locks, by as many processes as like to.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "storage/lmdb.hpp"
#include "storage/sealed_batch.hpp"

namespace levada::storage {

/// What a segment says of itself, so that a store whose catalogue is lost still knows its segments.
struct segment_identity {
  std::uint32_t format = 1;
  std::uint32_t id = 0;
  std::uint64_t sequence_first = 0;  ///< the journal rows whose records it took over
  std::uint64_t sequence_last = 0;
};

/// Writes one segment. Not safe to share. Without `finish` the file is removed again.
class segment_writer {
 public:
  /// Makes the file. `bytes_max` is about the sum of the sizes of all batches; it may become more.
  [[nodiscard]] static result<segment_writer> create(const std::filesystem::path& file,
                                                     const segment_identity& identity, std::size_t bytes_max);
  segment_writer(segment_writer&&) noexcept;
  segment_writer& operator=(segment_writer&&) = delete;
  ~segment_writer();

  /// Room for a batch, 8-aligned if its size is a multiple of 8; to be filled before the next call.
  [[nodiscard]] result<std::span<std::byte>> add(const batch_key& key, std::size_t size);
  /// Makes the file complete and, if asked, durable; returns its size. Its name is not made durable.
  [[nodiscard]] result<std::uint64_t> finish(bool sync);

  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }

 private:
  segment_writer() = default;
  [[nodiscard]] result<void> begin();
  [[nodiscard]] result<void> commit();
  [[nodiscard]] bool needs_larger_map(std::size_t size) const noexcept;
  [[nodiscard]] result<void> grow_map(std::size_t size);

  std::filesystem::path file_;
  environment env_;
  std::optional<write_transaction> txn_;
  MDB_dbi table_ = 0;
  std::size_t uncommitted_ = 0;
  std::size_t written_ = 0;
};

/// A segment, mapped. Safe to share between threads.
class segment_file {
 public:
  /// Opens after its structure was checked with plain reads, so that no damage makes LMDB crash. Fails with
  /// `damaged`, also where it is another segment than `id`. Null where there is no such file: it may just
  /// have been given up by its owner.
  [[nodiscard]] static result<std::shared_ptr<const segment_file>> open(const std::filesystem::path& file,
                                                                        std::uint32_t id);
  segment_file(environment env, MDB_dbi table, segment_identity identity, std::filesystem::path file) noexcept
      : env_{std::move(env)}, table_{table}, identity_{identity}, file_{std::move(file)} {}

  [[nodiscard]] const segment_identity& identity() const noexcept { return identity_; }
  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
  [[nodiscard]] touched_pages& pages() const noexcept { return env_.pages(); }
  [[nodiscard]] const environment& env() const noexcept { return env_; }

 private:
  friend class segment_reader;
  environment env_;
  MDB_dbi table_;
  segment_identity identity_;
  std::filesystem::path file_;
};

/// A cursor over the batches of a segment. What it returns stays valid as long as the `segment_file`. Not
/// safe to share.
class segment_reader {
 public:
  [[nodiscard]] static result<segment_reader> open(std::shared_ptr<const segment_file> segment);

  /// The batch of the key's partition that holds its offset, else the next one of that partition; nothing
  /// when there is none. Fails with `damaged` for a batch whose sizes do not hold together.
  [[nodiscard]] result<std::optional<batch_view>> find(const batch_key& key);
  /// The next batch of the same partition.
  [[nodiscard]] result<std::optional<batch_view>> next_in_partition();
  /// The first batch, then one after the other in the order of keys.
  [[nodiscard]] result<std::optional<batch_view>> first();
  [[nodiscard]] result<std::optional<batch_view>> next();

 private:
  segment_reader(std::shared_ptr<const segment_file> segment, read_transaction txn, cursor c) noexcept
      : segment_{std::move(segment)}, txn_{std::move(txn)}, cursor_{std::move(c)} {}
  [[nodiscard]] result<std::optional<batch_view>> view(result<std::optional<cursor::entry>> at) const;
  [[nodiscard]] result<std::optional<batch_view>> if_in_partition(
      result<std::optional<cursor::entry>> at) const;

  std::shared_ptr<const segment_file> segment_;
  read_transaction txn_;
  cursor cursor_;
  batch_key at_;  // the partition last looked for
};

}  // namespace levada::storage
