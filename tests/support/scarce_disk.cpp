#include <support/scarce_disk.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace levada::test {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

bool write_text(const char* file, const std::string& text) {
  std::ofstream out{file};
  out << text << std::flush;
  return out.good();
}

/// Enters a namespace in which mounting is permitted, and reaches nobody else.
bool enter_namespace() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) {
    // Files keep their owner: who opens a store must be the one who made it.
    if (!write_text("/proc/self/setgroups", "deny") ||
        !write_text("/proc/self/uid_map", fmt::format("{} {} 1", user, user)) ||
        !write_text("/proc/self/gid_map", fmt::format("{} {} 1", group, group))) {
      return false;
    }
  } else if (::unshare(CLONE_NEWNS) != 0) {  // permitted to the superuser
    return false;
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

class mounted_disk final : public scarce_disk {
 public:
  explicit mounted_disk(fs::path at) : at_{std::move(at)} {}

  [[nodiscard]] fs::path path() const override { return at_ / "content"; }
  void leave(std::uint64_t bytes) override {
    give_back();
    struct statvfs space {};
    if (::statvfs(at_.c_str(), &space) != 0) fail("statvfs");
    const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
    if (free <= bytes) return;
    const int fd = ::open(ballast().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) fail("create ballast");
    const int failure = ::posix_fallocate(fd, 0, static_cast<off_t>(free - bytes));
    ::close(fd);
    if (failure != 0) throw std::system_error{failure, std::generic_category(), "fill ballast"};
  }
  void give_back() override { fs::remove(ballast()); }

 private:
  [[nodiscard]] fs::path ballast() const { return at_ / "ballast"; }
  fs::path at_;
};

class limited_files final : public scarce_disk {
 public:
  explicit limited_files(fs::path at) : at_{std::move(at)} {}

  [[nodiscard]] fs::path path() const override { return at_; }
  void leave(std::uint64_t bytes) override { set(bytes); }
  void give_back() override { set(RLIM_INFINITY); }

 private:
  static void set(rlim_t bytes) {
    const struct rlimit most { bytes, RLIM_INFINITY };
    if (::setrlimit(RLIMIT_FSIZE, &most) != 0) fail("setrlimit");
  }
  fs::path at_;
};

}  // namespace

std::unique_ptr<scarce_disk> scarce_disk::mount(const fs::path& at, std::uint64_t size) {
  if (!enter_namespace()) return nullptr;
  const std::string options = fmt::format("size={},mode=700", size);
  if (::mount("levada-test", at.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) return nullptr;
  fs::create_directory(at / "content");
  return std::make_unique<mounted_disk>(at);
}

std::unique_ptr<scarce_disk> scarce_disk::limit_files(const fs::path& at) {
  std::signal(SIGXFSZ, SIG_IGN);
  return std::make_unique<limited_files>(at);
}

}  // namespace levada::test
