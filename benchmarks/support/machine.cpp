#include "support/machine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <thread>

#include <levada/version.hpp>

#include "support/scratch_directory.hpp"

namespace levada::bench {
namespace {

std::string processor() {
  std::ifstream info{"/proc/cpuinfo"};
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::string file_system(const std::filesystem::path& directory) {
  struct statfs info {};
  if (::statfs(directory.c_str(), &info) != 0) return "unknown";
  switch (static_cast<unsigned long>(info.f_type)) {
    case EXT4_SUPER_MAGIC:
      return "ext4";
    case XFS_SUPER_MAGIC:
      return "xfs";
    case BTRFS_SUPER_MAGIC:
      return "btrfs";
    case OVERLAYFS_SUPER_MAGIC:
      return "overlayfs";
    case TMPFS_MAGIC:
      return "tmpfs: MEMORY, flushes cost nothing here";
    default:
      return fmt::format("type {:#x}", static_cast<unsigned long>(info.f_type));
  }
}

std::string compiler() {
#ifdef __clang__
  return __VERSION__;
#else
  return "g++ " __VERSION__;
#endif
}

[[noreturn]] void fail(const char* operation) {
  throw std::system_error{errno, std::generic_category(), std::string{"measure flush latency: "} + operation};
}

}  // namespace

std::string describe_machine(const std::filesystem::path& directory) {
  utsname kernel{};
  ::uname(&kernel);
  double load = 0;
  ::getloadavg(&load, 1);
  std::string text = fmt::format(
      "levada {}.{}.{}, {}, {} build{}\n"
      "{}, {} cores, load {:.2f}; {} {}; file system {}\n",
      LEVADA_VERSION_MAJOR, LEVADA_VERSION_MINOR, LEVADA_VERSION_PATCH, compiler(), LEVADA_BENCH_BUILD_TYPE,
#ifdef NDEBUG
      "",
#else
      " WITH ASSERTIONS: figures of debug builds say nothing about levada",
#endif
      processor(), std::thread::hardware_concurrency(), load, &kernel.sysname[0], &kernel.release[0],
      file_system(directory));
  return text;
}

flush_latency measure_flush(const std::filesystem::path& directory) {
  constexpr int rounds = 200;
  const scratch_directory scratch{directory};
  const int fd = ::open((scratch.path() / "flush").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) fail("open");
  const struct closer {
    int fd;
    ~closer() { ::close(fd); }
  } closing{fd};

  const std::array<char, 4096> block{};
  std::array<double, rounds> taken{};
  for (double& one : taken) {
    const auto begin = std::chrono::steady_clock::now();
    if (::write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) fail("write");
    if (::fdatasync(fd) != 0) fail("fdatasync");
    one = std::chrono::duration<double, std::micro>{std::chrono::steady_clock::now() - begin}.count();
  }
  std::sort(taken.begin(), taken.end());
  return {.median = taken[rounds / 2], .p90 = taken[rounds * 9 / 10]};
}

std::string describe(const flush_latency& flush, std::string_view when) {
  return fmt::format("Disk {}: 4 KiB appended and flushed in {:.0f} us (median), {:.0f} us (p90).\n", when,
                     flush.median, flush.p90);
}

}  // namespace levada::bench
