#include "storage/owner_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "storage/catalog.hpp"
#include "storage/checkpointing.hpp"
#include "storage/errors.hpp"

namespace levada::storage {
namespace {

// The first line never changes while a store exists, so that it is whole whatever a power cut leaves of the
// rest.
constexpr std::string_view first_words = "levada store, format ";
constexpr std::size_t owner_text_bytes = 128;

using file_identity = std::pair<unsigned long long, unsigned long long>;

/// The stores that this process has open. A child made by fork() inherits entries that are not its own: they
/// carry the pid that made them.
struct registry {
  std::mutex mutex;
  struct claim {
    pid_t pid;
    process_claim::purpose what;
  };
  std::map<file_identity, claim> claims;

  static registry& instance() {
    static registry one;
    return one;
  }
  /// Precondition: `mutex` is held.
  [[nodiscard]] const claim* find(const file_identity& file) const {
    const auto found = claims.find(file);
    return found != claims.end() && found->second.pid == ::getpid() ? &found->second : nullptr;
  }
};

result<file_identity> identify(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return system_error(errno, "examine", file);
  return file_identity{info.st_dev, info.st_ino};
}

struct flock whole_file() noexcept {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

constexpr std::string_view clean_line = "\nclean ";

std::string lock_text(std::optional<std::uint64_t> clean) {
  std::string text =
      fmt::format("{}{}\npid {}\nboot {}\n", first_words, format_version, ::getpid(), system_boot_id());
  if (clean) text += fmt::format("clean {}\n", *clean);
  text.resize(owner_text_bytes, '\n');
  return text;
}

result<void> write_lock_text(int fd, const std::filesystem::path& file,
                             std::optional<std::uint64_t> clean = std::nullopt) {
  const std::string text = lock_text(clean);
  const ssize_t n = ::pwrite(fd, text.data(), text.size(), 0);
  if (n != static_cast<ssize_t>(text.size())) return system_error(n < 0 ? errno : ENOSPC, "write", file);
  return {};
}

/// What LOCK says of how the store was closed, if its format is known.
result<std::optional<std::uint64_t>> read_lock_text(int fd, const std::filesystem::path& file) {
  std::array<char, owner_text_bytes> buffer{};
  const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), 0);
  if (n < 0) return system_error(errno, "read", file);
  const std::string_view text{buffer.data(), static_cast<std::size_t>(n)};
  const char* const end = text.data() + text.size();
  std::uint32_t version = 0;
  if (!text.starts_with(first_words) ||
      std::from_chars(text.data() + first_words.size(), end, version).ec != std::errc{}) {
    return error{errc::not_a_store, fmt::format("open store: '{}' is not a levada store's", file.string())};
  }
  if (version > format_version) {
    return error{errc::unsupported_format,
                 fmt::format("open store '{}': it has format {}; this version reads up to {}",
                             file.parent_path().string(), version, format_version)};
  }
  std::uint64_t clean = 0;
  const auto at = text.find(clean_line);
  if (at == std::string_view::npos ||
      std::from_chars(text.data() + at + clean_line.size(), end, clean).ec != std::errc{}) {
    return std::optional<std::uint64_t>{};
  }
  return std::optional{clean};
}

}  // namespace

result<process_claim> process_claim::make(const std::filesystem::path& directory, purpose what) {
  registry& here = registry::instance();
  const std::lock_guard guard{here.mutex};
  const auto identity = identify(directory / lock_file_name);
  if (!identity) return identity.error();
  if (here.find(*identity) != nullptr) {
    return error{errc::store_in_use, fmt::format("open store '{}': this process, pid {}, has it open already",
                                                 directory.string(), ::getpid())};
  }
  here.claims[*identity] = {::getpid(), what};
  return process_claim{identity->first, identity->second, ::getpid()};
}

process_claim::~process_claim() {
  if (pid_ != ::getpid()) return;
  registry& here = registry::instance();
  const std::lock_guard guard{here.mutex};
  const file_identity file{device_, inode_};
  if (here.find(file) != nullptr) here.claims.erase(file);
}

result<owner_lock> owner_lock::acquire(const std::filesystem::path& directory) {
  auto claim = process_claim::make(directory, process_claim::purpose::own);
  if (!claim) return claim.error();
  const auto file = directory / lock_file_name;
  unique_fd fd{::open(file.c_str(), O_RDWR | O_CLOEXEC)};
  if (!fd) return system_error(errno, "open", file);
  if (auto known = read_lock_text(fd.get(), file); !known) return known.error();
  struct flock range = whole_file();
  if (::fcntl(fd.get(), F_SETLK, &range) != 0) {
    if (errno != EACCES && errno != EAGAIN) return system_error(errno, "lock", file);
    ::fcntl(fd.get(), F_GETLK, &range);
    return error{errc::store_in_use,
                 fmt::format("open store '{}': it is in use by the process with pid {}", directory.string(),
                             range.l_type == F_UNLCK ? 0 : range.l_pid)};
  }
  auto clean = read_lock_text(fd.get(), file);  // again: now nobody else changes it
  if (!clean) return clean.error();
  if (auto written = write_lock_text(fd.get(), file); !written) return written.error();
  return owner_lock{std::move(*claim), std::move(fd), *clean};
}

void owner_lock::note_clean(std::uint64_t transaction) noexcept {
  try {
    static_cast<void>(write_lock_text(fd_.get(), lock_file_name, transaction));
  } catch (const std::bad_alloc&) {
    // As it says: the next opening examines more.
  }
}

result<void> owner_lock::create(const std::filesystem::path& directory) {
  const auto file = directory / lock_file_name;
  const unique_fd fd{::open(file.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600)};
  if (!fd) return system_error(errno, "create", file);
  if (auto written = write_lock_text(fd.get(), file); !written) return written;
  if (::fsync(fd.get()) != 0) return system_error(errno, "sync", file);
  return {};
}

std::optional<int> owner_pid(const std::filesystem::path& directory) {
  const auto file = directory / lock_file_name;
  registry& here = registry::instance();
  const std::lock_guard guard{here.mutex};
  const auto identity = identify(file);
  if (!identity) return std::nullopt;
  const auto* const claim = here.find(*identity);
  if (claim != nullptr && claim->what == process_claim::purpose::own) return ::getpid();
  const unique_fd fd{::open(file.c_str(), O_RDWR | O_CLOEXEC)};
  if (!fd) return std::nullopt;
  struct flock range = whole_file();
  if (::fcntl(fd.get(), F_GETLK, &range) != 0 || range.l_type == F_UNLCK) return std::nullopt;
  return range.l_pid;
}

result<fork_guard> fork_guard::make() {
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return lmdb_error(errno, "make fork guard");
  if (::madvise(page, size, MADV_WIPEONFORK) != 0) {
    const int why = errno;
    ::munmap(page, size);
    return lmdb_error(why, "make fork guard");
  }
  *static_cast<volatile int*>(page) = 1;
  return fork_guard{static_cast<volatile int*>(page)};
}

fork_guard::~fork_guard() {
  if (page_ != nullptr) {
    ::munmap(const_cast<int*>(page_), static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  }
}

}  // namespace levada::storage
