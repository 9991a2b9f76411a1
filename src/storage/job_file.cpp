#include "storage/job_file.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <kj/exception.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "job.capnp.h"
#include "storage/errors.hpp"
#include "storage/file_io.hpp"

namespace levada::storage {
namespace {

namespace fs = std::filesystem;

constexpr const char* checkpoint_extension = ".job";
constexpr const char* new_extension = ".new";
constexpr const char* lock_extension = ".lock";

/// What a checkpoint's file begins with; a Cap'n Proto message follows.
struct file_header {
  std::array<char, 8> magic;
  std::uint64_t size;      // of the message
  std::uint64_t checksum;  // XXH3-64 of the message
};
static_assert(sizeof(file_header) == 24);
constexpr std::array<char, 8> job_magic{'l', 'v', 'd', 'a', 'j', 'o', 'b', '1'};

/// 4,096 partitions of each of many logs are far below it.
constexpr std::uint64_t file_bytes_max = std::uint64_t{1} << 28;

/// Names are never used as paths: a file is called by the hash of its job's name.
std::string stem_of(std::string_view name) {
  return fmt::format("{:016x}", XXH3_64bits(name.data(), name.size()));
}

/// Locks of open file descriptions, unlike those of processes, also keep two jobs of one process apart, and
/// do not go when somebody else closes the file.
struct flock whole_file(short type) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

/// The process that has the lock file locked, as it has written there.
std::optional<int> holder(int fd) {
  struct flock lock = whole_file(F_WRLCK);
  if (::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return std::nullopt;
  std::array<char, 32> text{};
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  int pid = 0;
  if (n > 0) std::from_chars(text.data(), text.data() + n, pid);
  return pid;
}

kj::Array<capnp::word> encode(const job_checkpoint& checkpoint) {
  const auto narrow = [](std::size_t n) { return static_cast<capnp::uint>(n); };
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::Job>();
  root.setName({checkpoint.name.c_str(), checkpoint.name.size()});
  root.setEpoch(checkpoint.epoch);
  root.setTime(checkpoint.time);
  root.setTopic({checkpoint.topic.c_str(), checkpoint.topic.size()});
  auto logs = root.initLogs(narrow(checkpoint.logs.size()));
  for (std::size_t i = 0; i < checkpoint.logs.size(); ++i) {
    const auto& from = checkpoint.logs[i];
    auto to = logs[narrow(i)];
    to.setId(from.id);
    to.setTopic({from.topic.c_str(), from.topic.size()});
    auto next = to.initNext(narrow(from.next.size()));
    for (std::size_t p = 0; p < from.next.size(); ++p) next.set(narrow(p), from.next[p]);
  }
  return capnp::messageToFlatArray(message);
}

result<job_checkpoint> decode(const fs::path& file, int fd) {
  const auto damaged = [&](std::string_view what) {
    return error{errc::damaged, fmt::format("read job's checkpoint '{}': {}", file.string(), what)};
  };
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error(errno, "examine", file);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  file_header header{};
  if (size < sizeof header || size > file_bytes_max || size % sizeof(capnp::word) != 0)
    return damaged("wrong size");
  std::vector<std::uint64_t> words(size / sizeof(std::uint64_t));
  if (const int code = read_at(fd, 0, reinterpret_cast<std::byte*>(words.data()), size); code > 0)
    return system_error(code, "read", file);
  std::memcpy(&header, words.data(), sizeof header);
  const std::span body = std::span{words}.subspan(sizeof header / sizeof(std::uint64_t));
  if (header.magic != job_magic || header.size != body.size_bytes()) return damaged("it is none");
  if (header.checksum != XXH3_64bits(body.data(), body.size_bytes())) return damaged("wrong checksum");
  try {
    capnp::FlatArrayMessageReader message{
        kj::arrayPtr(reinterpret_cast<const capnp::word*>(body.data()), body.size())};
    const auto root = message.getRoot<schema::Job>();
    job_checkpoint read{.name = root.getName().cStr(),
                        .epoch = root.getEpoch(),
                        .time = root.getTime(),
                        .topic = root.getTopic().cStr(),
                        .logs = {}};
    for (const auto log : root.getLogs()) {
      job_checkpoint::log& to = read.logs.emplace_back();
      to.id = log.getId();
      to.topic = log.getTopic().cStr();
      for (const std::uint64_t next : log.getNext()) to.next.push_back(next);
    }
    return read;
  } catch (const kj::Exception& e) {
    return damaged(e.getDescription().cStr());
  }
}

result<std::optional<job_checkpoint>> read_checkpoint(const fs::path& file) {
  const unique_fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (!fd && errno == ENOENT) return std::optional<job_checkpoint>{};
  if (!fd) return system_error(errno, "open", file);
  auto read = decode(file, fd.get());
  if (!read) return read.error();
  return std::optional{std::move(*read)};
}

/// Whether `fd` is still what the name stands for: a job that is removed takes its lock file along.
bool still_named(int fd, const fs::path& file) noexcept {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::stat(file.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

}  // namespace

fs::path job_file::path(const char* extension) const {
  return directory_ / (stem_ + extension);
}

result<job_file> job_file::claim(const fs::path& directory, std::string_view name) {
  job_file claimed{directory, stem_of(name), unique_fd{}};
  const fs::path file = claimed.path(lock_extension);
  do {
    claimed.lock_ = unique_fd{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!claimed.lock_) return system_error(errno, "open", file);
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(claimed.lock_.get(), F_OFD_SETLK, &lock) != 0) {
      if (errno != EAGAIN && errno != EACCES) return system_error(errno, "lock", file);
      const auto pid = holder(claimed.lock_.get());
      if (!pid) continue;  // has just ended
      return error{errc::job_in_use, fmt::format("open job '{}': process {} runs it", name, *pid)};
    }
  } while (!still_named(claimed.lock_.get(), file));
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(claimed.lock_.get(), 0) != 0) return system_error(errno, "truncate", file);
  const int code =
      write_at(claimed.lock_.get(), 0, reinterpret_cast<const std::byte*>(pid.data()), pid.size());
  if (code != 0) return system_error(code, "write", file);
  auto known = claimed.read();
  if (known && *known && (*known)->name != name) {
    return error{errc::invalid_argument,
                 fmt::format("open job '{}': its file is that of job '{}', whose name has the "
                             "same hash; choose another name",
                             name, (*known)->name)};
  }
  return claimed;
}

result<std::optional<job_checkpoint>> job_file::read() const {
  return read_checkpoint(path(checkpoint_extension));
}

result<void> job_file::write(const job_checkpoint& checkpoint) {
  const auto words = encode(checkpoint);
  const auto body = std::as_bytes(std::span{words.begin(), words.size()});
  const file_header header{job_magic, body.size(), XXH3_64bits(body.data(), body.size())};
  const fs::path file = path(new_extension);
  const auto write_all = [&]() -> result<void> {
    const unique_fd fd{::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!fd) return system_error(errno, "open", file);
    int code = write_at(fd.get(), 0, reinterpret_cast<const std::byte*>(&header), sizeof header);
    if (code == 0) code = write_at(fd.get(), sizeof header, body.data(), body.size());
    if (code != 0) return system_error(code, "write", file);
    if (::fdatasync(fd.get()) != 0) return system_error(errno, "sync", file);
    return {};
  };
  if (auto written = write_all(); !written) {
    std::error_code ignored;
    fs::remove(file, ignored);
    return written;
  }
  if (::rename(file.c_str(), path(checkpoint_extension).c_str()) != 0)
    return system_error(errno, "rename", file);
  return sync_directory(directory_);
}

result<void> job_file::remove() {
  for (const char* const extension : {checkpoint_extension, new_extension, lock_extension}) {
    const fs::path file = path(extension);
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return system_error(errno, "remove", file);
  }
  lock_ = unique_fd{};
  return sync_directory(directory_);
}

result<std::vector<stored_job>> stored_jobs(const fs::path& directory) {
  std::vector<stored_job> jobs;
  std::error_code failure;
  fs::directory_iterator files{directory, failure};
  for (; !failure && files != fs::directory_iterator{}; files.increment(failure)) {
    fs::path file = files->path();
    if (file.extension() != checkpoint_extension) continue;
    auto last = read_checkpoint(file);
    if (!last) return last.error();
    if (!*last) continue;  // removed meanwhile
    const unique_fd lock{::open(file.replace_extension(lock_extension).c_str(), O_RDWR | O_CLOEXEC)};
    jobs.push_back({std::move(**last), lock ? holder(lock.get()) : std::nullopt});
  }
  if (failure) return system_error(failure.value(), "list", directory);
  std::sort(jobs.begin(), jobs.end(),
            [](const stored_job& a, const stored_job& b) { return a.last.name < b.last.name; });
  return jobs;
}

result<void> remove_job(const fs::path& directory, std::string_view name) {
  const fs::path file = directory / (stem_of(name) + checkpoint_extension);
  // One that cannot be read can be removed all the same.
  auto known = read_checkpoint(file);
  if ((known && (!*known || (*known)->name != name)) || (!known && known.error() != errc::damaged))
    return known ? error{errc::unknown_job, fmt::format("remove job '{}': there is none", name)}
                 : known.error();
  auto claimed = job_file::claim(directory, name);
  return claimed ? claimed->remove() : result<void>{claimed.error()};
}

}  // namespace levada::storage
