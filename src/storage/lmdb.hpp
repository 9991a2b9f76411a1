#pragma once

/// @file
/// Owning handles for LMDB 0.9: the only door to lmdb.h.
///
/// Environments are opened with MDB_NOTLS, so that reader slots belong to transactions and not to threads.
/// All handles are move-only and release on destruction; a write transaction that was not committed is
/// aborted.

#include <lmdb.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <levada/error.hpp>

#include "storage/file_use.hpp"

namespace levada::storage {

using bytes = std::span<const std::byte>;

[[nodiscard]] inline MDB_val to_val(bytes b) noexcept {
  return {b.size(), const_cast<std::byte*>(b.data())};  // LMDB's C interface lacks const; it only reads
}
[[nodiscard]] inline bytes from_val(const MDB_val& v) noexcept {
  return {static_cast<const std::byte*>(v.mv_data), v.mv_size};
}

/// A number of 8 bytes as key or part of one: big-endian, so that LMDB's byte order is the numeric order.
[[nodiscard]] constexpr std::uint64_t big_endian(std::uint64_t n) noexcept {
  return __builtin_bswap64(n);
}

struct environment_options {
  std::size_t map_bytes = 0;
  /// For processes that only look.
  bool read_only = false;
  /// Without any flush but those asked for.
  bool no_sync = false;
  /// The path names the data file itself, and nothing is locked: for files that only one writer, and no
  /// reader before it has finished, ever sees.
  bool single_file = false;
};

/// The pages of a mapped data file that this process has touched. The kernel counts them as the process's
/// memory, though they belong to the page cache: so that memory does not seem to grow with the file, they are
/// let go of each time so many bytes have been read or written. One that is used again is found again in the
/// cache, at the price of a page fault. Safe to share between threads.
class touched_pages {
 public:
  /// Where the file is mapped, and after how many bytes it is let go of; before that, nothing is.
  void locate(std::byte* begin, std::size_t size, std::size_t touched_max) noexcept;
  /// From now on reading lets go of nothing. For the owner, whose consumers read the same rows one after the
  /// other: faults would cost a replay from memory a fifth of its speed.
  void keep_read() noexcept { keep_read_ = true; }
  void read(std::size_t size) noexcept {
    if (!keep_read_.load(std::memory_order_relaxed)) written(size);
  }
  void written(std::size_t size) noexcept;

 private:
  std::byte* begin_ = nullptr;
  std::size_t size_ = 0;
  std::size_t touched_max_ = 0;
  std::atomic<std::size_t> bytes_ = 0;
  std::atomic<bool> keep_read_ = false;
};

class environment {
 public:
  /// Opens the environment in the directory `path`, or makes it there.
  [[nodiscard]] static result<environment> open(const std::filesystem::path& path,
                                                const environment_options& options);

  [[nodiscard]] MDB_env* get() const noexcept { return env_.get(); }

  /// Frees reader slots of processes that died; returns how many.
  int clear_dead_readers() noexcept;
  /// The snapshots that are held now, by this process and others.
  struct reader {
    int pid = 0;
    std::uint64_t transaction = 0;
    bool operator==(const reader&) const = default;
  };
  [[nodiscard]] std::vector<reader> readers() const;
  /// Flushes the data file.
  [[nodiscard]] result<void> sync();
  /// Whether the data file has no room to grow by a few MiB: full file system, or the process's limit on file
  /// sizes. LMDB reports a short write as EIO, so this is asked before the device is blamed.
  [[nodiscard]] bool no_room() const noexcept;
  /// The room that the data file takes, whether it still has a name or not.
  [[nodiscard]] file_use use() const noexcept;
  /// From now on lets go of touched pages after each `touched_max` bytes. To be called once, before the
  /// environment is shared.
  [[nodiscard]] result<void> let_go_of_pages(std::size_t touched_max);
  /// What it lets go of.
  [[nodiscard]] touched_pages& pages() const noexcept { return *pages_; }
  /// The newest transaction that is on record in a meta page.
  [[nodiscard]] std::uint64_t last_transaction() const noexcept;

 private:
  struct closer {
    void operator()(MDB_env* env) const noexcept { mdb_env_close(env); }
  };
  std::unique_ptr<touched_pages> pages_ = std::make_unique<touched_pages>();
  std::unique_ptr<MDB_env, closer> env_;
};

/// What reading and writing transactions have in common.
class transaction {
 public:
  [[nodiscard]] MDB_txn* get() const noexcept { return txn_.get(); }
  /// The value under `key`, valid until the transaction ends or, in a write transaction, until the next
  /// write; nothing where there is none.
  [[nodiscard]] result<std::optional<bytes>> get(MDB_dbi table, bytes key) const;
  /// How many entries a table has.
  [[nodiscard]] result<std::uint64_t> count(MDB_dbi table) const;

 protected:
  struct aborter {
    void operator()(MDB_txn* txn) const noexcept { mdb_txn_abort(txn); }
  };
  explicit transaction(MDB_txn* txn) noexcept : txn_{txn} {}
  std::unique_ptr<MDB_txn, aborter> txn_;
};

/// A snapshot. Keep it short: while it lives, LMDB cannot reuse pages.
class read_transaction : public transaction {
 public:
  [[nodiscard]] static result<read_transaction> begin(const environment& env);
  /// The transaction that wrote the snapshot.
  [[nodiscard]] std::uint64_t id() const noexcept { return mdb_txn_id(txn_.get()); }

 private:
  using transaction::transaction;
};

/// The one writer. Begun, used and ended by one thread.
class write_transaction : public transaction {
 public:
  [[nodiscard]] static result<write_transaction> begin(const environment& env);

  [[nodiscard]] result<void> put(MDB_dbi table, bytes key, bytes value);
  /// Room for a value under a new key, to be filled before the next write.
  [[nodiscard]] result<std::span<std::byte>> reserve(MDB_dbi table, bytes key, std::size_t size);
  /// Whether there was something to erase.
  [[nodiscard]] result<bool> erase(MDB_dbi table, bytes key);
  /// Erases everything in a table.
  [[nodiscard]] result<void> clear(MDB_dbi table);
  /// Ends the transaction either way; returns LMDB's code, 0 for success.
  [[nodiscard]] int commit() noexcept;

 private:
  using transaction::transaction;
};

/// To be closed before its transaction ends: LMDB frees the cursors of a write transaction itself.
class cursor {
 public:
  [[nodiscard]] static result<cursor> open(const transaction& txn, MDB_dbi table);

  struct entry {
    bytes key;
    bytes value;
  };
  /// Moves and returns the entry there; nothing at the end. Key and value are never null pointers, as LMDB
  /// 0.9.24's deletion through cursors demands (its ITS#9376).
  [[nodiscard]] result<std::optional<entry>> move(MDB_cursor_op operation, bytes key = {});
  /// Appends behind the last key of the table.
  [[nodiscard]] int append(bytes key, bytes value) noexcept;
  /// Deletes the entry that the cursor stands on.
  [[nodiscard]] result<void> erase();

 private:
  struct closer {
    void operator()(MDB_cursor* c) const noexcept { mdb_cursor_close(c); }
  };
  explicit cursor(MDB_cursor* c) noexcept : cursor_{c} {}
  [[nodiscard]] touched_pages* pages() const noexcept;

  static constexpr std::size_t note_read_bytes = std::size_t{16} << 10;
  std::size_t read_ = 0;  // and not noted yet
  std::unique_ptr<MDB_cursor, closer> cursor_;
};

}  // namespace levada::storage
