// Synced commits as they are, two flushes each, beside a prototype with a write-ahead file before the
// journal: one flush of the commit's rows in a preallocated file, then an LMDB commit without flushes, which
// makes them readable, and from time to time a checkpoint, after which the file is used anew. Without levada
// on either side: rows, tree and flushes are what differs.

#include <fcntl.h>
#include <fmt/format.h>
#include <lmdb.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "questions.hpp"
#include "support/disk.hpp"
#include "support/raw_journal.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr int rounds_full = 7;
constexpr int rounds_smoke = 2;
/// Turns that are not measured: until the main file, in which a snapshot keeps pages from being used again,
/// does not grow any more.
constexpr int rounds_before = 4;
/// A checkpoint is due after so many bytes of new pages, counted as levada's checkpoints are: the rows, and
/// for each commit the paths to them.
constexpr std::size_t period_bytes_full = std::size_t{64} << 20;
constexpr std::size_t period_bytes_smoke = std::size_t{1} << 20;
constexpr std::size_t commit_overhead = std::size_t{8} << 12;
constexpr std::size_t page_bytes = 4096;

[[noreturn]] void fail(const char* operation) {
  throw std::system_error{errno, std::generic_category(), fmt::format("write-ahead file: {}", operation)};
}

void check(int code, const char* operation) {
  if (code != 0) throw std::runtime_error{fmt::format("raw LMDB: {}: {}", operation, mdb_strerror(code))};
}

struct commit_shape {
  std::size_t records;
  std::size_t rows;
  std::size_t row_bytes;

  [[nodiscard]] std::size_t bytes() const noexcept { return rows * row_bytes; }
};

/// A file whose blocks have all been written, so that flushing an overwrite needs no change to the file
/// system's own data.
class preallocated_file {
 public:
  preallocated_file(const std::filesystem::path& file, std::size_t size, int flags)
      : fd_{::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600)}, size_{size} {
    if (fd_ < 0) fail("make");
    if (const int code = ::posix_fallocate(fd_, 0, static_cast<off_t>(size)); code != 0) {
      throw std::system_error{code, std::generic_category(), "write-ahead file: preallocate"};
    }
    const std::vector<std::byte> zeros(std::size_t{1} << 20);
    for (std::size_t at = 0; at < size;) {
      const ssize_t written =
          ::pwrite(fd_, zeros.data(), std::min(zeros.size(), size - at), static_cast<off_t>(at));
      if (written < 0) fail("write over");
      at += static_cast<std::size_t>(written);
    }
    if (::fsync(fd_) != 0) fail("flush");
  }
  preallocated_file(const preallocated_file&) = delete;
  preallocated_file& operator=(const preallocated_file&) = delete;
  ~preallocated_file() { ::close(fd_); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  void write(std::span<iovec> pieces, std::size_t at) {
    std::size_t left = 0;
    for (const iovec& piece : pieces) left += piece.iov_len;
    while (left > 0) {
      const ssize_t written =
          ::pwritev(fd_, pieces.data(), static_cast<int>(pieces.size()), static_cast<off_t>(at));
      if (written < 0) fail("write");
      auto done = static_cast<std::size_t>(written);
      at += done;
      left -= done;
      for (; !pieces.empty() && done >= pieces.front().iov_len; pieces = pieces.subspan(1)) {
        done -= pieces.front().iov_len;
      }
      if (pieces.empty()) continue;
      pieces.front().iov_base = static_cast<std::byte*>(pieces.front().iov_base) + done;
      pieces.front().iov_len -= done;
    }
  }
  void flush() {
    if (::fdatasync(fd_) != 0) fail("flush");
  }

 private:
  int fd_;
  std::size_t size_;
};

/// One way to make commits durable, and its store.
class way {
 public:
  virtual ~way() = default;
  /// Makes so many commits: those between two checkpoints. All are durable when it returns.
  virtual void run(std::size_t commits) = 0;
  /// What comes between the turns and is not measured: the rows go, as if they had been sealed.
  virtual void settle() = 0;
};

class two_flushes : public way {
 public:
  two_flushes(const std::filesystem::path& directory, const commit_shape& shape)
      : shape_{shape}, journal_{directory} {}
  void run(std::size_t commits) override {
    for (std::size_t i = 0; i < commits; ++i) journal_.append(shape_.rows, shape_.row_bytes);
  }
  void settle() override { journal_.prune(); }

 private:
  commit_shape shape_;
  raw_journal journal_;
};

enum class flush_by { fdatasync, o_dsync };
enum class checkpoint_in { same_thread, background };

/// The prototype. Checkpoints are as levada's: a snapshot is pinned, everything flushed, the snapshot's meta
/// page saved in a file of its own, and only then the snapshot before given up.
class write_ahead : public way {
 public:
  write_ahead(const std::filesystem::path& directory, const commit_shape& shape, std::size_t commits,
              flush_by flush, checkpoint_in where)
      : shape_{shape},
        flush_{flush},
        where_{where},
        journal_{directory, flushing::none},
        half_bytes_{commits * (sizeof(frame) + shape.bytes())},
        ahead_{directory / "ahead", 2 * half_bytes_, flush == flush_by::o_dsync ? O_DSYNC : 0},
        meta_{directory / "checkpoint", page_bytes, 0} {
    pin_ = begin_snapshot();
  }
  ~write_ahead() override {
    if (under_way_.valid()) under_way_.wait();
  }

  void run(std::size_t commits) override {
    // In the background it is the checkpoint of the commits of the run before. The file's other half holds
    // those meanwhile.
    if (where_ == checkpoint_in::background) {
      snapshot pinned = begin_snapshot();
      under_way_ = std::async(std::launch::async, [this] { make_durable(); });
      append(commits);
      under_way_.get();
      pin_ = std::move(pinned);
      return;
    }
    append(commits);
    snapshot pinned = begin_snapshot();
    make_durable();
    pin_ = std::move(pinned);
  }
  void settle() override {
    journal_.prune();
    if (where_ == checkpoint_in::same_thread) check(mdb_env_sync(journal_.env(), 1), "sync");
  }

 private:
  /// Stands before the rows of a commit. The rows carry checksums of their own.
  struct frame {
    std::uint64_t sequence;
    std::uint64_t rows;
    std::uint64_t bytes;
    std::uint64_t checksum;
  };
  struct aborter {
    void operator()(MDB_txn* txn) const noexcept { mdb_txn_abort(txn); }
  };
  using snapshot = std::unique_ptr<MDB_txn, aborter>;

  [[nodiscard]] snapshot begin_snapshot() const {
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(journal_.env(), nullptr, MDB_RDONLY, &txn), "begin snapshot");
    return snapshot{txn};
  }

  void append(std::size_t commits) {
    const std::span<const std::byte> prepared = prepared_rows(shape_.row_bytes);
    std::size_t at = half_ * half_bytes_;
    half_ = 1 - half_;
    for (std::size_t i = 0; i < commits; ++i) {
      frame head{.sequence = sequence_, .rows = shape_.rows, .bytes = shape_.bytes(), .checksum = ~sequence_};
      sequence_ += shape_.rows;
      pieces_.assign(1, iovec{&head, sizeof head});
      for (std::size_t left = shape_.bytes(); left > 0;) {
        const std::size_t size = std::min(left, prepared.size());
        // iovec lacks const; it is only read.
        pieces_.push_back({const_cast<std::byte*>(prepared.data()), size});
        left -= size;
      }
      ahead_.write(pieces_, at);
      if (flush_ == flush_by::fdatasync) ahead_.flush();
      at += sizeof head + shape_.bytes();
      journal_.append(shape_.rows, shape_.row_bytes);
    }
  }

  void make_durable() {
    check(mdb_env_sync(journal_.env(), 1), "sync");
    std::array<std::byte, page_bytes> page{};
    iovec whole{page.data(), page.size()};
    meta_.write({&whole, 1}, 0);
    meta_.flush();
  }

  commit_shape shape_;
  flush_by flush_;
  checkpoint_in where_;
  raw_journal journal_;
  std::size_t half_bytes_;
  preallocated_file ahead_;
  preallocated_file meta_;
  std::size_t half_ = 0;
  std::uint64_t sequence_ = 0;
  std::vector<iovec> pieces_;
  snapshot pin_;
  std::future<void> under_way_;
};

struct contender {
  const char* text;
  const char* name;
  std::unique_ptr<way> how;
  std::vector<double> taken = {};
};

std::filesystem::path made(std::filesystem::path directory) {
  std::filesystem::create_directory(directory);
  return directory;
}

void compare(const std::filesystem::path& directory, const commit_shape& shape, findings& found) {
  const std::size_t period = found.smoke() ? period_bytes_smoke : period_bytes_full;
  const std::size_t commits = std::max<std::size_t>(period / (shape.bytes() + commit_overhead), 1);
  const int rounds = found.smoke() ? rounds_smoke : rounds_full;
  // Of each store the file, with pages of some periods that snapshots pin, and the write-ahead file.
  require_space(directory, std::uint64_t{4} * (rounds_before + 2) * period);

  const auto ahead = [&](const char* name, flush_by flush, checkpoint_in where) {
    return std::make_unique<write_ahead>(made(directory / name), shape, commits, flush, where);
  };
  std::array<contender, 4> all{
      contender{"LMDB, two flushes", "today",
                std::make_unique<two_flushes>(made(directory / "today"), shape)},
      contender{"ahead, fdatasync", "fdatasync",
                ahead("fdatasync", flush_by::fdatasync, checkpoint_in::same_thread)},
      contender{"ahead, O_DSYNC", "dsync", ahead("dsync", flush_by::o_dsync, checkpoint_in::same_thread)},
      contender{"ahead, fdatasync, checkpoints in the background", "background",
                ahead("background", flush_by::fdatasync, checkpoint_in::background)}};
  for (contender& one : all) {
    for (int i = 0; i < rounds_before; ++i) {
      stop_if_asked();
      one.how->run(commits);
      one.how->settle();
    }
  }
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      stop_if_asked();
      contender& one = all[(i + static_cast<std::size_t>(round)) % all.size()];
      const auto begin = std::chrono::steady_clock::now();
      one.how->run(commits);
      one.taken.push_back(std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count());
      one.how->settle();
    }
  }

  found.line(fmt::format("{} record{} a commit, {} commits and a checkpoint each turn", shape.records,
                         shape.records == 1 ? "" : "s", commits));
  for (const contender& one : all) {
    std::vector<double> gains;
    for (std::size_t i = 0; i < one.taken.size(); ++i) gains.push_back(all[0].taken[i] / one.taken[i]);
    found.line(fmt::format("  {:<48} {:>8.0f} us a commit   rate over two flushes {}", one.text,
                           median(one.taken) / static_cast<double>(commits) * 1e6, with_range(gains)));
    found.figure(fmt::format("records:{}/{}", shape.records, one.name), median(gains));
  }
}

void answer(const std::filesystem::path& directory, findings& found) {
  constexpr std::size_t records_small = 128;
  constexpr commit_shape shapes[] = {
      {1, 1, lone_row_bytes},
      {records_small, records_small / records_per_row, full_row_bytes},
      {records_per_group, records_per_group / records_per_row, full_row_bytes},
  };
  for (const commit_shape& shape : shapes) {
    const std::filesystem::path own = made(directory / fmt::format("{}", shape.records));
    compare(own, shape, found);
    std::filesystem::remove_all(own);
  }
}

}  // namespace

void ask_write_ahead_file(suite& s) {
  s.ask(study{
      .name = "write_ahead_file",
      .text = "a write-ahead file: synced commits beside one flush of the rows and an LMDB commit without "
              "flushes",
      .answer = answer});
}

}  // namespace levada::bench
