#include "storage/signal_page.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <ctime>

#include "storage/errors.hpp"
#include "storage/unique_fd.hpp"

namespace levada::storage {
namespace {

constexpr std::size_t page_bytes = 4096;

long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value,
           const timespec* timeout) noexcept {
  static_assert(sizeof word == sizeof(std::uint32_t));
  return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, timeout, nullptr, 0);
}

}  // namespace

struct signal_page::layout {
  std::atomic<std::uint32_t> commits;
  std::atomic<std::uint32_t> waiters;
};

result<void> signal_page::create(const std::filesystem::path& file) {
  const unique_fd fd{::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)};
  if (!fd) return system_error(errno, "create", file);
  const std::array<char, page_bytes> zeros{};
  const ssize_t n = ::pwrite(fd.get(), zeros.data(), zeros.size(), 0);
  if (n != static_cast<ssize_t>(zeros.size())) return system_error(n < 0 ? errno : ENOSPC, "write", file);
  if (::fsync(fd.get()) != 0) return system_error(errno, "sync", file);
  return {};
}

result<signal_page> signal_page::open(const std::filesystem::path& file) {
  const unique_fd fd{::open(file.c_str(), O_RDWR | O_CLOEXEC)};
  if (!fd) return system_error(errno, "open", file);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error(errno, "examine", file);
  // Its content is of no lasting value, so a page that a power cut left short is made whole again.
  if (static_cast<std::size_t>(info.st_size) < page_bytes) {
    const std::array<char, page_bytes> zeros{};
    const ssize_t n = ::pwrite(fd.get(), zeros.data(), zeros.size(), 0);
    if (n != static_cast<ssize_t>(zeros.size())) return system_error(n < 0 ? errno : ENOSPC, "write", file);
  }
  void* const mapped = ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return system_error(errno, "map", file);
  return signal_page{static_cast<layout*>(mapped)};
}

signal_page::~signal_page() {
  if (page_ != nullptr) ::munmap(page_, page_bytes);
}

std::uint32_t signal_page::commits() const noexcept {
  return page_->commits.load(std::memory_order_acquire);
}

void signal_page::announce() noexcept {
  page_->commits.fetch_add(1, std::memory_order_seq_cst);
  if (page_->waiters.load(std::memory_order_seq_cst) != 0) {
    futex(page_->commits, FUTEX_WAKE, INT32_MAX, nullptr);
  }
}

void signal_page::wait(std::uint32_t seen, std::chrono::milliseconds timeout) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const std::chrono::nanoseconds rest = timeout - seconds;
  const timespec limit{seconds.count(), rest.count()};
  page_->waiters.fetch_add(1, std::memory_order_seq_cst);
  if (page_->commits.load(std::memory_order_seq_cst) == seen) futex(page_->commits, FUTEX_WAIT, seen, &limit);
  page_->waiters.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace levada::storage
