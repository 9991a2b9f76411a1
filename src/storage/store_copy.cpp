#include "storage/store_copy.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "storage/catalog.hpp"
#include "storage/errors.hpp"
#include "storage/store_directory.hpp"
#include "storage/unique_fd.hpp"

namespace levada::storage {
namespace {

namespace fs = std::filesystem;

/// How often a copy begins anew because a segment was given up while it was made.
constexpr int attempts_max = 10;

std::uint64_t size_of(const fs::path& file) {
  struct stat info {};
  return ::stat(file.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

result<void> copy_main(const main_environment& main, const fs::path& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0) return system_error(errno, "create directory", directory);
  if (const int rc = mdb_env_copy2(main.env().get(), directory.c_str(), MDB_CP_COMPACT); rc != 0) {
    return lmdb_error(rc, fmt::format("copy main environment to '{}'", directory.string()));
  }
  return {};
}

/// Which segments a copied main environment names.
result<std::vector<segment_entry>> named_segments(const fs::path& directory) {
  auto main = main_environment::open(
      directory, {.map_bytes = std::max<std::size_t>(size_of(directory / "data.mdb"), std::size_t{1} << 20),
                  .read_only = true});
  if (!main) return main.error();
  auto txn = read_transaction::begin(main->env());
  if (!txn) return txn.error();
  auto all = read_catalog(*txn, main->tables());
  if (!all) return all.error();
  return std::move(all->segments);
}

result<void> copy_bytes(int from, int to, std::uint64_t size, const fs::path& file) {
  while (size > 0) {
    const ssize_t n = ::copy_file_range(from, nullptr, to, nullptr, size, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(errno, "copy", file);
    if (n == 0) {
      return error{errc::damaged,
                   fmt::format("copy '{}': {} bytes are missing at its end", file.string(), size)};
    }
    size -= static_cast<std::uint64_t>(n);
  }
  return {};
}

enum class placed { linked, copied, gone };

/// Puts a segment's file where it belongs in the copy.
result<placed> place_segment(const fs::path& from, const fs::path& to, bool hard_links) {
  if (hard_links) {
    if (::link(from.c_str(), to.c_str()) == 0) return placed::linked;
    if (errno == ENOENT) return placed::gone;
    // Other file systems, or those that have no links, get a copy.
    if (errno != EXDEV && errno != EPERM && errno != EMLINK && errno != ENOTSUP)
      return system_error(errno, "link", to);
  }
  const unique_fd in{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!in) return errno == ENOENT ? result<placed>{placed::gone} : system_error(errno, "open", from);
  const unique_fd out{::open(to.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)};
  if (!out) return system_error(errno, "create", to);
  struct stat info {};
  if (::fstat(in.get(), &info) != 0) return system_error(errno, "examine", from);
  if (auto done = copy_bytes(in.get(), out.get(), static_cast<std::uint64_t>(info.st_size), to); !done)
    return done.error();
  if (::fsync(out.get()) != 0) return system_error(errno, "sync", to);
  return placed::copied;
}

/// One attempt at filling the directories of a new store; nothing where a segment was given up meanwhile.
result<std::optional<backup_report>> fill_copy(const main_environment& main, const fs::path& segments,
                                               const fs::path& to, const backup_options& options) {
  const fs::path main_directory = to / main_directory_name;
  if (auto copied = copy_main(main, main_directory); !copied) return copied.error();
  auto named = named_segments(main_directory);
  if (!named) return named.error();
  std::error_code ignored;
  fs::remove(main_directory / "lock.mdb", ignored);  // of the look at it just now

  backup_report report;
  backup_progress progress;
  report.bytes_copied = progress.done = progress.total = size_of(main_directory / "data.mdb");
  for (const auto& segment : *named) progress.total += segment.file_bytes;
  if (options.progress) options.progress(progress);
  for (const auto& segment : *named) {
    const std::string name = fmt::format("{:08x}.seg", segment.id);
    auto done = place_segment(segments / name, to / segments_directory_name / name, options.hard_links);
    if (!done) return done.error();
    if (*done == placed::gone) return std::optional<backup_report>{};
    ++report.segments;
    (*done == placed::linked ? report.bytes_linked : report.bytes_copied) += segment.file_bytes;
    progress.done += segment.file_bytes;
    if (options.progress) options.progress(progress);
  }
  return std::optional{report};
}

}  // namespace

result<backup_report> copy_store(const main_environment& main, const fs::path& segments, const fs::path& to,
                                 const backup_options& options) {
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    std::optional<backup_report> report;
    auto made = make_store(to, [&](const fs::path& scratch) -> result<bool> {
      auto filled = fill_copy(main, segments, scratch, options);
      if (!filled) return filled.error();
      report = *filled;
      return report.has_value();
    });
    if (!made && made.error() == errc::store_in_use) {
      return error{errc::invalid_argument,
                   fmt::format("back up to '{}': there is something already", to.string())};
    }
    if (!made) {
      return error{made.error().code(),
                   fmt::format("back up to '{}': {}", to.string(), made.error().message())};
    }
    if (*made) return *report;
  }
  return error{errc::damaged, fmt::format("back up to '{}': the file of a segment is missing", to.string())};
}

}  // namespace levada::storage
