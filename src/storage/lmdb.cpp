#include "storage/lmdb.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <vector>

#include "storage/errors.hpp"
#include "storage/file_io.hpp"
#include "storage/unique_fd.hpp"

namespace levada::storage {
namespace {

constexpr unsigned readers_max = 1024;
constexpr unsigned tables_max = 16;
constexpr mdb_mode_t file_mode = 0600;

/// A slot for each reader, and two of the same size for what writers share.
constexpr std::uint64_t lock_file_bytes = std::uint64_t{64} * (readers_max + 2);

/// Takes the room of LMDB's lock file; returns an errno value. LMDB writes to a mapping of it, and where a
/// page of that finds no room, the process gets SIGBUS.
int reserve_lock_file(const std::filesystem::path& file) {
  const unique_fd fd{::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, file_mode)};
  if (!fd) return 0;  // LMDB may do without, or tells why not
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return errno;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  constexpr std::uint64_t block_bytes = 512;
  if (size >= lock_file_bytes && static_cast<std::uint64_t>(info.st_blocks) * block_bytes >= size) return 0;
  int failed = 0;
  do {
    failed = ::fallocate(fd.get(), 0, 0, static_cast<off_t>(std::max(size, lock_file_bytes)));
  } while (failed != 0 && errno == EINTR);
  if (failed == 0) return 0;
  if (errno != EOPNOTSUPP && errno != ENOSYS) return errno;
  if (size >= lock_file_bytes) return 0;
  const std::vector<std::byte> zeros(static_cast<std::size_t>(lock_file_bytes - size));
  return write_at(fd.get(), size, zeros.data(), zeros.size());
}

}  // namespace

void touched_pages::locate(std::byte* begin, std::size_t size, std::size_t touched_max) noexcept {
  begin_ = begin;
  size_ = size;
  touched_max_ = touched_max;
}

void touched_pages::written(std::size_t size) noexcept {
  if (begin_ == nullptr || bytes_.fetch_add(size, std::memory_order_relaxed) + size < touched_max_) return;
  bytes_.store(0, std::memory_order_relaxed);
  // Of a shared mapping this drops page-table entries only. Where it fails, memory merely looks larger.
  ::madvise(begin_, size_, MADV_DONTNEED);
}

result<void> environment::let_go_of_pages(std::size_t touched_max) {
  auto txn = read_transaction::begin(*this);
  if (!txn) return txn.error();
  MDB_dbi names = 0;
  MDB_envinfo info{};
  MDB_stat shape{};
  mdb_env_info(env_.get(), &info);
  if (const int rc = mdb_dbi_open(txn->get(), nullptr, 0, &names); rc != 0) {
    return lmdb_error(rc, "open main environment");
  }
  mdb_stat(txn->get(), names, &shape);
  auto c = cursor::open(*txn, names);
  if (!c) return c.error();
  auto first = c->move(MDB_FIRST);
  if (!first) return first.error();
  if (!*first) return {};
  // LMDB does not tell where it mapped the file, but every page begins with its number.
  const std::byte* const value = (*first)->value.data();
  const std::byte* const page = value - reinterpret_cast<std::uintptr_t>(value) % shape.ms_psize;
  std::uint64_t number = 0;
  std::memcpy(&number, page, sizeof number);
  pages_->locate(const_cast<std::byte*>(page - number * shape.ms_psize), info.me_mapsize, touched_max);
  mdb_env_set_userctx(env_.get(), pages_.get());
  return {};
}

result<environment> environment::open(const std::filesystem::path& path, const environment_options& options) {
  const auto fail = [&](int code) { return lmdb_error(code, fmt::format("open '{}'", path.string())); };
  if (!options.single_file) {
    if (const int rc = reserve_lock_file(path / "lock.mdb"); rc != 0) return fail(rc);
  }
  MDB_env* raw = nullptr;
  if (const int rc = mdb_env_create(&raw); rc != 0) return fail(rc);
  environment env;
  env.env_.reset(raw);
  if (const int rc = mdb_env_set_mapsize(raw, options.map_bytes); rc != 0) return fail(rc);
  if (const int rc = mdb_env_set_maxreaders(raw, readers_max); rc != 0) return fail(rc);
  if (const int rc = mdb_env_set_maxdbs(raw, tables_max); rc != 0) return fail(rc);
  unsigned flags = MDB_NOTLS;
  if (options.read_only) flags |= MDB_RDONLY;
  if (options.no_sync) flags |= MDB_NOSYNC | MDB_NOMETASYNC;
  if (options.single_file) flags |= MDB_NOSUBDIR | MDB_NOLOCK;
  if (const int rc = mdb_env_open(raw, path.c_str(), flags, file_mode); rc != 0) return fail(rc);
  return env;
}

int environment::clear_dead_readers() noexcept {
  int dead = 0;
  mdb_reader_check(env_.get(), &dead);
  return dead;
}

std::vector<environment::reader> environment::readers() const {
  std::vector<reader> found;
  // A headline, then a line for each slot: pid, thread, and the transaction or "-".
  mdb_reader_list(
      env_.get(),
      [](const char* line, void* to) {
        int pid = 0;
        std::uint64_t transaction = 0;
        if (std::sscanf(line, "%d %*x %" SCNu64, &pid, &transaction) == 2)
          static_cast<std::vector<reader>*>(to)->push_back({pid, transaction});
        return 0;
      },
      &found);
  return found;
}

result<void> environment::sync() {
  if (const int rc = mdb_env_sync(env_.get(), 1); rc != 0) return lmdb_error(rc, "sync");
  return {};
}

file_use environment::use() const noexcept {
  mdb_filehandle_t fd = -1;
  return mdb_env_get_fd(env_.get(), &fd) == 0 ? use_of(fd).value_or(file_use{}) : file_use{};
}

bool environment::no_room() const noexcept {
  constexpr std::uint64_t enough = std::uint64_t{4} << 20;
  mdb_filehandle_t fd = -1;
  struct statvfs space {};
  struct stat info {};
  if (mdb_env_get_fd(env_.get(), &fd) != 0 || ::fstatvfs(fd, &space) != 0 || ::fstat(fd, &info) != 0)
    return false;
  if (std::uint64_t{space.f_bavail} * space.f_frsize < enough) return true;
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
  return static_cast<std::uint64_t>(info.st_size) + enough > limit.rlim_cur;
}

std::uint64_t environment::last_transaction() const noexcept {
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  return info.me_last_txnid;
}

result<std::optional<bytes>> transaction::get(MDB_dbi table, bytes key) const {
  MDB_val k = to_val(key);
  MDB_val v{};
  const int rc = mdb_get(txn_.get(), table, &k, &v);
  if (rc == MDB_NOTFOUND) return std::optional<bytes>{};
  if (rc != 0) return lmdb_error(rc, "read");
  return std::optional<bytes>{from_val(v)};
}

result<std::uint64_t> transaction::count(MDB_dbi table) const {
  MDB_stat stat{};
  if (const int rc = mdb_stat(get(), table, &stat); rc != 0) return lmdb_error(rc, "count entries");
  return stat.ms_entries;
}

result<read_transaction> read_transaction::begin(const environment& env) {
  MDB_txn* txn = nullptr;
  int rc = mdb_txn_begin(env.get(), nullptr, MDB_RDONLY, &txn);
  // LMDB 0.9 announces the reader and then copies the roots from one of two meta pages. If this thread is
  // held up between the two while two commits go by, that page has become the second one's: the roots may be
  // mixed, or of a commit that is not durable yet. So a snapshot counts only if it was one of the newest two
  // after it was taken.
  while (rc == 0 && env.last_transaction() > mdb_txn_id(txn) + 1) {
    mdb_txn_reset(txn);
    rc = mdb_txn_renew(txn);
  }
  if (rc != 0) {
    mdb_txn_abort(txn);  // nothing, where none was begun
    return lmdb_error(rc, "begin read transaction");
  }
  return read_transaction{txn};
}

result<write_transaction> write_transaction::begin(const environment& env) {
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env.get(), nullptr, 0, &txn); rc != 0) {
    return lmdb_error(rc, "begin write transaction");
  }
  return write_transaction{txn};
}

result<void> write_transaction::put(MDB_dbi table, bytes key, bytes value) {
  MDB_val k = to_val(key);
  MDB_val v = to_val(value);
  if (const int rc = mdb_put(txn_.get(), table, &k, &v, 0); rc != 0) {
    return lmdb_error(rc, "write");
  }
  return {};
}

result<std::span<std::byte>> write_transaction::reserve(MDB_dbi table, bytes key, std::size_t size) {
  MDB_val k = to_val(key);
  MDB_val v{size, nullptr};
  if (const int rc = mdb_put(txn_.get(), table, &k, &v, MDB_RESERVE | MDB_NOOVERWRITE); rc != 0) {
    return lmdb_error(rc, "write");
  }
  return std::span{static_cast<std::byte*>(v.mv_data), v.mv_size};
}

result<bool> write_transaction::erase(MDB_dbi table, bytes key) {
  MDB_val k = to_val(key);
  const int rc = mdb_del(txn_.get(), table, &k, nullptr);
  if (rc == MDB_NOTFOUND) return false;
  if (rc != 0) return lmdb_error(rc, "erase");
  return true;
}

result<void> write_transaction::clear(MDB_dbi table) {
  if (const int rc = mdb_drop(txn_.get(), table, 0); rc != 0) return lmdb_error(rc, "clear");
  return {};
}

int write_transaction::commit() noexcept {
  return mdb_txn_commit(txn_.release());
}

result<cursor> cursor::open(const transaction& txn, MDB_dbi table) {
  MDB_cursor* c = nullptr;
  if (const int rc = mdb_cursor_open(txn.get(), table, &c); rc != 0) {
    return lmdb_error(rc, "open cursor");
  }
  return cursor{c};
}

result<std::optional<cursor::entry>> cursor::move(MDB_cursor_op operation, bytes key) {
  MDB_val k = to_val(key);
  MDB_val v{};
  const int rc = mdb_cursor_get(cursor_.get(), &k, &v, operation);
  if (rc == MDB_NOTFOUND) return std::optional<entry>{};
  if (rc != 0) return lmdb_error(rc, "read");
  read_ += v.mv_size;
  if (read_ >= note_read_bytes) {
    if (auto* const touched = pages()) touched->read(read_);
    read_ = 0;
  }
  return std::optional<entry>{entry{from_val(k), from_val(v)}};
}

touched_pages* cursor::pages() const noexcept {
  return static_cast<touched_pages*>(mdb_env_get_userctx(mdb_txn_env(mdb_cursor_txn(cursor_.get()))));
}

int cursor::append(bytes key, bytes value) noexcept {
  if (auto* const touched = pages()) touched->written(value.size());
  MDB_val k = to_val(key);
  MDB_val v = to_val(value);
  return mdb_cursor_put(cursor_.get(), &k, &v, MDB_APPEND);
}

result<void> cursor::erase() {
  if (const int rc = mdb_cursor_del(cursor_.get(), 0); rc != 0) {
    return lmdb_error(rc, "erase");
  }
  return {};
}

}  // namespace levada::storage
