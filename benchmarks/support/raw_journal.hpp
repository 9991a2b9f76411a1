#pragma once

/// @file
/// The other side of every comparison: the same rows in LMDB, without levada.

#include <lmdb.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace levada::bench {

/// Bytes of a record of 100 bytes in a row: 16 of header, the value, padding up to a multiple of 8.
inline constexpr std::size_t record_bytes = 120;
/// Bytes of a row's header.
inline constexpr std::size_t row_header_bytes = 72;
/// How many records of 100 bytes stand in a full row.
inline constexpr std::size_t records_per_row = 16;
/// A full row of them; rows end at 2,008 bytes.
inline constexpr std::size_t full_row_bytes = row_header_bytes + records_per_row * record_bytes;
/// The row of a record that is published alone.
inline constexpr std::size_t lone_row_bytes = row_header_bytes + record_bytes;

/// What a journal holds.
struct journal_content {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t transactions = 0;
};
/// Counts the table "journal" of the LMDB environment in `directory`, which must not be open in this process.
[[nodiscard]] journal_content count_journal(const std::filesystem::path& directory);

/// Rows of `row_bytes` bytes, one after the other, as many as there are different ones: what `append` copies,
/// again from the first one where they do not suffice.
[[nodiscard]] std::span<const std::byte> prepared_rows(std::size_t row_bytes);

/// Whether a commit returns when it is durable, or when the kernel has it.
enum class flushing : bool { none, each_commit };

/// An LMDB environment with levada's flags and map size and one named table, "journal", keyed by big-endian
/// sequence numbers and written with MDB_APPEND. Throws std::runtime_error. One thread at a time.
class raw_journal {
 public:
  /// Makes it in a new directory.
  explicit raw_journal(const std::filesystem::path& directory, flushing how = flushing::each_commit);

  /// Appends `rows` rows of `row_bytes` bytes each in one transaction and commits it. They are copied from a
  /// prepared buffer: what preparing them costs is levada's to pay.
  void append(std::size_t rows, std::size_t row_bytes);
  /// Erases all rows, a few at a time as levada does, so that later ones find their pages free.
  void prune();
  /// Reads every row in one transaction and adds up all 8-byte words of it: a scan that does not look at the
  /// bytes would measure nothing.
  [[nodiscard]] std::uint64_t scan() const;
  [[nodiscard]] MDB_env* env() const noexcept { return env_.get(); }

 private:
  struct closer {
    void operator()(MDB_env* env) const noexcept { mdb_env_close(env); }
  };
  std::unique_ptr<MDB_env, closer> env_;
  MDB_dbi journal_ = 0;
  std::uint64_t sequence_ = 0;
};

}  // namespace levada::bench
