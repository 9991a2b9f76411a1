// The declarations of glibc that this file defines anew come without inline versions.
#undef _FORTIFY_SOURCE

#include <crash/recorder.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <utility>

namespace levada::crash {
namespace {

enum class mode {
  off,
  skipping_syncs,
  recording,
};
std::atomic<mode> current{mode::off};

/// What is being recorded; guarded by `mutex`. Never destroyed: files are closed until the very end.
struct recording {
  std::mutex mutex;
  std::string root;  // with a slash at its end
  std::set<std::pair<dev_t, ino_t>> inodes;
  std::set<int> syncing;  // descriptors that were to be opened with O_DSYNC
  std::vector<operation> operations;
};
recording& record() {
  static auto* const one = new recording;
  return *one;
}

template <class Function>
Function real(const char* name) noexcept {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

/// The path of a call relative to a directory; empty outside of the root.
std::filesystem::path below_root(int directory, const char* path) {
  std::filesystem::path full{path};
  if (full.is_relative()) {
    std::error_code failure;
    const auto base = directory == AT_FDCWD ? std::filesystem::current_path(failure)
                                            : std::filesystem::read_symlink(
                                                  fmt::format("/proc/self/fd/{}", directory), failure);
    if (failure) return {};
    full = base / full;
  }
  const std::string text = full.lexically_normal().string();
  const std::string& root = record().root;
  if (text + "/" == root || text == root) return ".";
  if (text.compare(0, root.size(), root) != 0) return {};
  return text.substr(root.size());
}

bool tracked(int fd, std::uint64_t& inode) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return false;
  inode = info.st_ino;
  return record().inodes.contains({info.st_dev, info.st_ino});
}

void add(operation o) {
  record().operations.push_back(std::move(o));
}

/// Makes a call on paths and records it if it succeeded.
template <class Call>
int call_on_paths(operation::what kind, int directory, const char* path, int target_directory,
                  const char* target, Call call) {
  if (current.load() != mode::recording) return call();
  const std::lock_guard guard{record().mutex};
  operation o;
  o.kind = kind;
  o.path = below_root(directory, path);
  if (target != nullptr) o.target = below_root(target_directory, target);
  const int result = call();
  const int why = errno;
  if (result == 0 && (!o.path.empty() || !o.target.empty())) {
    if (target != nullptr && (o.path.empty() || o.target.empty())) {
      o.kind = operation::what::unknown;
      o.data = "a rename across the root";
    }
    add(std::move(o));
  }
  errno = why;
  return result;
}

template <class Call>
int call_on_path(operation::what kind, int directory, const char* path, Call call) {
  return call_on_paths(kind, directory, path, AT_FDCWD, nullptr, call);
}

/// Makes a call that the simulated disk does not know.
template <class Call>
auto call_unknown(const char* name, int directory, const char* path, Call call) {
  if (current.load() != mode::recording) return call();
  const std::lock_guard guard{record().mutex};
  if (!below_root(directory, path).empty()) {
    operation o;
    o.data = name;
    add(std::move(o));
  }
  return call();
}
template <class Call>
auto call_unknown(const char* name, int fd, Call call) {
  if (current.load() != mode::recording) return call();
  const std::lock_guard guard{record().mutex};
  std::uint64_t inode = 0;
  if (tracked(fd, inode)) {
    operation o;
    o.data = name;
    add(std::move(o));
  }
  return call();
}

/// `call(flags)` opens.
template <class Call>
int call_open(int directory, const char* path, int flags, Call call) {
  const mode m = current.load();
  if (m == mode::off) return call(flags);
  const int without_sync = flags & ~(O_SYNC | O_DSYNC);
  if (m == mode::skipping_syncs) return call(without_sync);
  const std::lock_guard guard{record().mutex};
  operation o;
  o.kind = operation::what::open;
  o.path = below_root(directory, path);
  const int fd = call(o.path.empty() ? flags : without_sync);
  const int why = errno;
  if ((flags & O_DSYNC) != 0) {
    record().syncing.insert(fd);
  } else {
    record().syncing.erase(fd);
  }
  if (fd >= 0 && !o.path.empty()) {
    struct stat info {};
    if (::fstat(fd, &info) == 0) {
      if ((flags & O_TMPFILE) == O_TMPFILE) {
        o.kind = operation::what::unknown;
        o.data = "open with O_TMPFILE";
      }
      o.inode = info.st_ino;
      o.flags = flags;
      record().inodes.insert({info.st_dev, info.st_ino});
      add(std::move(o));
    }
  }
  errno = why;
  return fd;
}

/// `call()` writes at `offset`, or where the descriptor stands when that is negative.
template <class Call>
ssize_t call_write(int fd, const struct iovec* parts, int count, off_t offset, Call call) {
  if (current.load() != mode::recording) return call();
  const std::lock_guard guard{record().mutex};
  operation o;
  if (!tracked(fd, o.inode)) return call();
  const int flags = ::fcntl(fd, F_GETFL);
  if (offset < 0) offset = ::lseek(fd, 0, (flags & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
  const ssize_t written = call();
  const int why = errno;
  if (written > 0) {
    o.kind = record().syncing.contains(fd) ? operation::what::durable_write : operation::what::write;
    o.offset = static_cast<std::uint64_t>(offset);
    auto left = static_cast<std::size_t>(written);
    for (int i = 0; i < count && left > 0; ++i) {
      const std::size_t size = std::min(left, parts[i].iov_len);
      o.data.append(static_cast<const char*>(parts[i].iov_base), size);
      left -= size;
    }
    add(std::move(o));
  }
  errno = why;
  return written;
}

template <class Call>
int call_truncate(int fd, off_t size, Call call) {
  if (current.load() != mode::recording) return call();
  const std::lock_guard guard{record().mutex};
  operation o;
  const bool known = tracked(fd, o.inode);
  const int result = call();
  if (result == 0 && known) {
    o.kind = operation::what::truncate;
    o.offset = static_cast<std::uint64_t>(size);
    add(std::move(o));
  }
  return result;
}

template <class Call>
int call_sync(int fd, Call call) {
  const mode m = current.load();
  if (m == mode::off) return call();
  if (m == mode::skipping_syncs) return 0;
  const std::lock_guard guard{record().mutex};
  operation o;
  o.kind = operation::what::sync;
  if (!tracked(fd, o.inode)) return call();
  add(std::move(o));
  return 0;
}

mode_t mode_argument(int flags, va_list arguments) {
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return makes ? static_cast<mode_t>(va_arg(arguments, int)) : mode_t{0};
}

}  // namespace

void recorder::start(const std::filesystem::path& root) {
  const std::lock_guard guard{record().mutex};
  record().root = std::filesystem::canonical(root).string() + "/";
  record().inodes.clear();
  record().syncing.clear();
  record().operations.clear();
  current.store(mode::recording);
}

void recorder::note(const std::string& line) {
  const std::lock_guard guard{record().mutex};
  operation o;
  o.kind = operation::what::line;
  o.data = line;
  add(std::move(o));
}

std::vector<operation> recorder::stop() {
  const std::lock_guard guard{record().mutex};
  current.store(mode::off);
  return std::exchange(record().operations, {});
}

void recorder::skip_syncs() noexcept {
  current.store(mode::skipping_syncs);
}

}  // namespace levada::crash

// From here on: libc's functions, as this program and its libraries see them. `real` finds libc's own, or a
// sanitizer's in front of it. Names that end in 64 are distinct symbols.

using namespace levada::crash;
using what = operation::what;

extern "C" {

#define LEVADA_OPEN(name)                                                             \
  int name(const char* path, int flags, ...) {                                        \
    static const auto next = real<int (*)(const char*, int, mode_t)>(#name);          \
    va_list arguments;                                                                \
    va_start(arguments, flags);                                                       \
    const mode_t m = mode_argument(flags, arguments);                                 \
    va_end(arguments);                                                                \
    return call_open(AT_FDCWD, path, flags, [&](int f) { return next(path, f, m); }); \
  }
LEVADA_OPEN(open)
LEVADA_OPEN(open64)

#define LEVADA_OPENAT(name)                                                                       \
  int name(int directory, const char* path, int flags, ...) {                                     \
    static const auto next = real<int (*)(int, const char*, int, mode_t)>(#name);                 \
    va_list arguments;                                                                            \
    va_start(arguments, flags);                                                                   \
    const mode_t m = mode_argument(flags, arguments);                                             \
    va_end(arguments);                                                                            \
    return call_open(directory, path, flags, [&](int f) { return next(directory, path, f, m); }); \
  }
LEVADA_OPENAT(openat)
LEVADA_OPENAT(openat64)

#define LEVADA_CREAT(name)                                                                              \
  int name(const char* path, mode_t m) {                                                                \
    static const auto next = real<int (*)(const char*, mode_t)>(#name);                                 \
    return call_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, [&](int) { return next(path, m); }); \
  }
LEVADA_CREAT(creat)
LEVADA_CREAT(creat64)

ssize_t write(int fd, const void* data, size_t size) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t)>("write");
  const struct iovec part { const_cast<void*>(data), size };
  return call_write(fd, &part, 1, -1, [&] { return next(fd, data, size); });
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  static const auto next = real<ssize_t (*)(int, const struct iovec*, int)>("writev");
  return call_write(fd, parts, count, -1, [&] { return next(fd, parts, count); });
}

#define LEVADA_PWRITE(name)                                                                \
  ssize_t name(int fd, const void* data, size_t size, off_t offset) {                      \
    static const auto next = real<ssize_t (*)(int, const void*, size_t, off_t)>(#name);    \
    const struct iovec part { const_cast<void*>(data), size };                             \
    return call_write(fd, &part, 1, offset, [&] { return next(fd, data, size, offset); }); \
  }
LEVADA_PWRITE(pwrite)
LEVADA_PWRITE(pwrite64)

#define LEVADA_PWRITEV(name)                                                                     \
  ssize_t name(int fd, const struct iovec* parts, int count, off_t offset) {                     \
    static const auto next = real<ssize_t (*)(int, const struct iovec*, int, off_t)>(#name);     \
    return call_write(fd, parts, count, offset, [&] { return next(fd, parts, count, offset); }); \
  }
LEVADA_PWRITEV(pwritev)
LEVADA_PWRITEV(pwritev64)

#define LEVADA_FTRUNCATE(name)                                      \
  int name(int fd, off_t size) noexcept {                           \
    static const auto next = real<int (*)(int, off_t)>(#name);      \
    return call_truncate(fd, size, [&] { return next(fd, size); }); \
  }
LEVADA_FTRUNCATE(ftruncate)
LEVADA_FTRUNCATE(ftruncate64)

#define LEVADA_TRUNCATE(name)                                                     \
  int name(const char* path, off_t size) noexcept {                               \
    static const auto next = real<int (*)(const char*, off_t)>(#name);            \
    return call_unknown(#name, AT_FDCWD, path, [&] { return next(path, size); }); \
  }
LEVADA_TRUNCATE(truncate)
LEVADA_TRUNCATE(truncate64)

#define LEVADA_FALLOCATE(name)                                              \
  int name(int fd, off_t offset, off_t size) {                              \
    static const auto next = real<int (*)(int, off_t, off_t)>(#name);       \
    return call_unknown(#name, fd, [&] { return next(fd, offset, size); }); \
  }
LEVADA_FALLOCATE(posix_fallocate)
LEVADA_FALLOCATE(posix_fallocate64)

int fallocate(int fd, int how, off_t offset, off_t size) {
  static const auto next = real<int (*)(int, int, off_t, off_t)>("fallocate");
  const auto call = [&] { return next(fd, how, offset, size); };
  if (how != 0) return call_unknown("fallocate", fd, call);
  // It takes room, which the simulated disk has without end, and may make the file longer.
  struct stat before {};
  if (::fstat(fd, &before) != 0) return call();
  return call_truncate(fd, std::max(before.st_size, offset + size), call);
}

ssize_t copy_file_range(int in, off64_t* in_at, int out, off64_t* out_at, size_t size, unsigned flags) {
  static const auto next =
      real<ssize_t (*)(int, off64_t*, int, off64_t*, size_t, unsigned)>("copy_file_range");
  return call_unknown("copy_file_range", out, [&] { return next(in, in_at, out, out_at, size, flags); });
}

#define LEVADA_SENDFILE(name)                                                    \
  ssize_t name(int out, int in, off_t* in_at, size_t size) noexcept {            \
    static const auto next = real<ssize_t (*)(int, int, off_t*, size_t)>(#name); \
    return call_unknown(#name, out, [&] { return next(out, in, in_at, size); }); \
  }
LEVADA_SENDFILE(sendfile)
LEVADA_SENDFILE(sendfile64)

int fsync(int fd) {
  static const auto next = real<int (*)(int)>("fsync");
  return call_sync(fd, [&] { return next(fd); });
}

int fdatasync(int fd) {
  static const auto next = real<int (*)(int)>("fdatasync");
  return call_sync(fd, [&] { return next(fd); });
}

int mkdir(const char* path, mode_t m) noexcept {
  static const auto next = real<int (*)(const char*, mode_t)>("mkdir");
  return call_on_path(what::make_directory, AT_FDCWD, path, [&] { return next(path, m); });
}

int mkdirat(int directory, const char* path, mode_t m) noexcept {
  static const auto next = real<int (*)(int, const char*, mode_t)>("mkdirat");
  return call_on_path(what::make_directory, directory, path, [&] { return next(directory, path, m); });
}

// libc makes the directory without a call that could be seen, so its name is known only afterwards.
char* mkdtemp(char* pattern) noexcept {
  static const auto next = real<char* (*)(char*)>("mkdtemp");
  if (current.load() != mode::recording) return next(pattern);
  const std::lock_guard guard{record().mutex};
  char* const made = next(pattern);
  if (made != nullptr) {
    operation o;
    o.kind = what::make_directory;
    o.path = below_root(AT_FDCWD, made);
    if (!o.path.empty()) add(std::move(o));
  }
  return made;
}

int rename(const char* from, const char* to) noexcept {
  static const auto next = real<int (*)(const char*, const char*)>("rename");
  return call_on_paths(what::rename, AT_FDCWD, from, AT_FDCWD, to, [&] { return next(from, to); });
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  static const auto next = real<int (*)(int, const char*, int, const char*)>("renameat");
  return call_on_paths(what::rename, from_directory, from, to_directory, to,
                       [&] { return next(from_directory, from, to_directory, to); });
}

int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) noexcept {
  static const auto next = real<int (*)(int, const char*, int, const char*, unsigned)>("renameat2");
  return call_unknown("renameat2", from_directory, from,
                      [&] { return next(from_directory, from, to_directory, to, flags); });
}

int unlink(const char* path) noexcept {
  static const auto next = real<int (*)(const char*)>("unlink");
  return call_on_path(what::remove, AT_FDCWD, path, [&] { return next(path); });
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  static const auto next = real<int (*)(int, const char*, int)>("unlinkat");
  return call_on_path(what::remove, directory, path, [&] { return next(directory, path, flags); });
}

int rmdir(const char* path) noexcept {
  static const auto next = real<int (*)(const char*)>("rmdir");
  return call_on_path(what::remove, AT_FDCWD, path, [&] { return next(path); });
}

int remove(const char* path) noexcept {
  static const auto next = real<int (*)(const char*)>("remove");
  return call_on_path(what::remove, AT_FDCWD, path, [&] { return next(path); });
}

int link(const char* from, const char* to) noexcept {
  static const auto next = real<int (*)(const char*, const char*)>("link");
  return call_unknown("link", AT_FDCWD, to, [&] { return next(from, to); });
}

int linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) noexcept {
  static const auto next = real<int (*)(int, const char*, int, const char*, int)>("linkat");
  return call_unknown("linkat", to_directory, to,
                      [&] { return next(from_directory, from, to_directory, to, flags); });
}

int symlink(const char* from, const char* to) noexcept {
  static const auto next = real<int (*)(const char*, const char*)>("symlink");
  return call_unknown("symlink", AT_FDCWD, to, [&] { return next(from, to); });
}

}  // extern "C"
