#include "storage/store_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include "storage/catalog.hpp"
#include "storage/control_file.hpp"
#include "storage/errors.hpp"
#include "storage/file_io.hpp"
#include "storage/scratch_directory.hpp"

namespace levada::storage {
namespace {

namespace fs = std::filesystem;

constexpr const char* signal_name = "signal";
constexpr const char* directories[] = {main_directory_name, segments_directory_name, jobs_directory_name};

result<void> sync_file(const fs::path& path) {
  const unique_fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) return system_error(errno, "open", path);
  if (::fsync(fd.get()) != 0) return system_error(errno, "sync", path);
  return {};
}

/// A trailing slash would make the parent the directory itself.
fs::path without_slash(const fs::path& given) {
  return given.has_filename() ? given : given.parent_path();
}

fs::path parent_of(const fs::path& directory) {
  const fs::path parent = directory.parent_path();
  return parent.empty() ? fs::path{"."} : parent;
}

/// Fills an empty directory with a whole, synced main environment.
result<main_environment> create_main(const fs::path& directory, const store_options& options, bool no_sync) {
  if (::mkdir(directory.c_str(), 0700) != 0) return system_error(errno, "create directory", directory);
  auto main = main_environment::create(directory, {.map_bytes = options.map_bytes, .no_sync = no_sync});
  if (!main) return main;
  auto txn = write_transaction::begin(main->env());
  if (!txn) return txn.error();
  const log_entry exchange = default_exchange(options.now);
  if (auto stored = put(*txn, main->tables(), exchange); !stored) return stored.error();
  const store_entry store{.created = options.now, .next_id = exchange.id + 1};
  if (auto stored = put(*txn, main->tables(), store); !stored) return stored.error();
  if (const int rc = txn->commit(); rc != 0) {
    return lmdb_error(rc == EIO && main->env().no_room() ? ENOSPC : rc, "create store");
  }
  return main;
}

/// Completes a new store's directory, whose main environment and segments are there, and makes all of it
/// durable.
result<void> complete(const fs::path& directory) {
  if (auto made = signal_page::create(directory / signal_name); !made) return made;
  if (auto made = owner_lock::create(directory); !made) return made;
  if (auto synced = sync_file(directory / main_directory_name / "data.mdb"); !synced) return synced;
  for (const char* name : directories) {
    if (auto synced = sync_directory(directory / name); !synced) return synced;
  }
  return sync_directory(directory);
}

/// Makes the store's name durable: whoever made it, or moved it here, may have died before that.
result<void> keep_name(const fs::path& directory) {
  auto synced = sync_directory(parent_of(directory));
  if (synced || synced.error() != errc::permission_denied) return synced;
  // A store may be opened below a directory that its owner cannot read.
  const unique_fd fd{::open(directory.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY)};
  if (!fd) return system_error(errno, "open", directory);
  if (::syncfs(fd.get()) != 0) return system_error(errno, "sync the file system of", directory);
  return {};
}

std::string scratch_prefix(const fs::path& directory) {
  return fmt::format(".{}.levada-new-", directory.filename().string());
}

/// Removes what creations that crashed have left beside `directory`. One that may still be under way is
/// younger.
void remove_leftovers(const fs::path& directory) {
  const std::string prefix = scratch_prefix(directory);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{parent_of(directory), ignored}) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    const auto age = fs::file_time_type::clock::now() - fs::last_write_time(entry.path(), ignored);
    if (!ignored && age > std::chrono::minutes{10}) fs::remove_all(entry.path(), ignored);
  }
}

result<void> create_store(const fs::path& directory, const store_options& options) {
  auto made = make_store(directory, [&](const fs::path& scratch) -> result<bool> {
    auto main = create_main(scratch / main_directory_name, options, false);
    if (!main) return main.error();
    return true;
  });
  // Somebody else was faster: theirs is opened.
  if (!made && made.error() != errc::store_in_use) return made.error();
  return {};
}

enum class finding { store, nothing };

/// Tells a store from a place where one can be made; anything else is an error.
result<finding> look(const fs::path& directory) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0) {
    if (errno == ENOENT) return finding::nothing;
    if (errno != ENOTDIR) return system_error(errno, "open store", directory);
    return error{errc::not_a_store,
                 fmt::format("open store '{}': a part of the path is no directory", directory.string())};
  }
  if (!S_ISDIR(info.st_mode)) {
    return error{errc::not_a_store, fmt::format("open store '{}': it is no directory", directory.string())};
  }
  std::error_code failure;
  const fs::directory_iterator content{directory, failure};
  if (failure) return system_error(failure.value(), "open store", directory);
  if (content == fs::directory_iterator{}) return finding::nothing;
  if (::stat((directory / lock_file_name).c_str(), &info) != 0) {
    if (errno != ENOENT) return system_error(errno, "open store", directory);
    return error{
        errc::not_a_store,
        fmt::format("open store '{}': the directory holds other files and no store", directory.string())};
  }
  return finding::store;
}

result<void> check_directory(const fs::path& directory) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0) return system_error(errno, "open store", directory);
  if (info.st_uid != ::geteuid()) {
    return error{errc::insecure_directory,
                 fmt::format("open store '{}': it belongs to user {}, this process runs as {}",
                             directory.string(), info.st_uid, ::geteuid())};
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return error{errc::insecure_directory,
                 fmt::format("open store '{}': others may write to it (mode {:o}); use mode 700",
                             directory.string(), info.st_mode & 07777U)};
  }
  struct statfs space {};
  if (::statfs(directory.c_str(), &space) != 0) return system_error(errno, "open store", directory);
  if (is_network_filesystem(static_cast<std::uint64_t>(space.f_type))) {
    return error{errc::network_filesystem,
                 fmt::format("open store '{}': it lies on a network file system", directory.string())};
  }
  return {};
}

}  // namespace

bool is_network_filesystem(std::uint64_t f_type) noexcept {
  switch (f_type & 0xffff'ffffU) {
    case 0x6969:      // NFS
    case 0x517B:      // SMB
    case 0xFE534D42:  // SMB2
    case 0xFF534D42:  // CIFS
    case 0x00C36400:  // Ceph
    case 0x5346414F:  // AFS
    case 0x6B414653:  // kAFS
    case 0x01021997:  // 9P
    case 0x73757245:  // Coda
    case 0x0BD00BD0:  // Lustre
    case 0x7461636F:  // OCFS2
    case 0x01161970:  // GFS2
    case 0x564C:      // NCP
    case 0xAAD7AAEA:  // PanFS
    case 0x47504653:  // GPFS
      return true;
    default:
      return false;
  }
}

result<bool> make_store(const fs::path& given, const fill_function& fill) {
  const fs::path directory = without_slash(given);
  if (directory.empty()) return error{errc::invalid_argument, "create store: the path is empty"};
  remove_leftovers(directory);
  auto scratch = scratch_directory::make(parent_of(directory) / scratch_prefix(directory));
  if (!scratch) return scratch.error();
  for (const char* name : directories) {
    if (std::string_view{name} == main_directory_name) continue;  // is made by what fills it
    const fs::path path = scratch->path() / name;
    if (::mkdir(path.c_str(), 0700) != 0) return system_error(errno, "create directory", path);
  }
  auto filled = fill(scratch->path());
  if (!filled || !*filled) return filled;
  if (auto done = complete(scratch->path()); !done) return done.error();
  // Replaces an empty directory atomically.
  if (::rename(scratch->path().c_str(), directory.c_str()) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) {
      return error{errc::store_in_use,
                   fmt::format("create store '{}': there is something already", directory.string())};
    }
    if (errno == EBUSY) {
      return error{errc::invalid_argument,
                   fmt::format("create store '{}': it is a mount point; name a directory below it",
                               directory.string())};
    }
    return system_error(errno, "create store", directory);
  }
  scratch->keep();
  if (auto kept = keep_name(directory); !kept) return kept.error();
  return true;
}

result<owned_store> open_store(const fs::path& given, const store_options& options) {
  const fs::path directory = without_slash(given);
  if (directory.empty()) return error{errc::invalid_argument, "open store: the path is empty"};
  const auto found = look(directory);
  if (!found) return found.error();
  if (*found == finding::nothing) {
    if (!options.create) {
      return error{errc::store_not_found, fmt::format("open store '{}': there is none", directory.string())};
    }
    if (auto created = create_store(directory, options); !created) return created.error();
  }
  if (auto fit = check_directory(directory); !fit) return fit.error();
  auto lock = owner_lock::acquire(directory);
  if (!lock) return lock.error();
  remove_stale_control(directory);
  if (auto kept = keep_name(directory); !kept) return kept.error();
  auto signal = signal_page::open(directory / signal_name);
  if (!signal) return signal.error();
  const fs::path main_directory = directory / main_directory_name;
  auto restored = restore(main_directory, options.boot_id);
  if (!restored) return restored.error();
  auto main = main_environment::open(
      main_directory, {.map_bytes = options.map_bytes, .no_sync = options.checkpointed},
      *restored || options.examine_pages ? std::nullopt : lock->clean_transaction());
  if (!main) return main.error();
  if (*restored) {
    // Who has LMDB's lock file open goes on from where the store was, not from where it is.
    auto snapshot = read_transaction::begin(main->env());
    if (!snapshot) return snapshot.error();
    if (snapshot->id() != main->env().last_transaction()) {
      return error{errc::store_in_use,
                   fmt::format("open store '{}': it goes back to a checkpoint, and a process that attached "
                               "before the system went down has it open; end that process first",
                               directory.string())};
    }
  }
  owned_store store{std::move(*lock), std::move(*signal), std::move(*main),
                    directory / segments_directory_name};
  store.restored = *restored;
  if (options.checkpointed) {
    auto begun = checkpointing::start(store.main, main_directory, options.boot_id, options.now);
    if (!begun) return begun.error();
    store.checkpoints.emplace(std::move(*begun));
  }
  return store;
}

result<owned_store> open_memory_store(const fs::path& parent, const store_options& options) {
  auto scratch = scratch_directory::make(parent / "levada-memory-");
  if (!scratch) return scratch.error();
  auto main = create_main(scratch->path() / main_directory_name, options, true);
  if (!main) return main.error();
  // The files are unlinked here; the open environment keeps their content for as long as it lives.
  auto files = files_below(scratch->path());
  if (!files) return files.error();
  owned_store store{std::nullopt, std::nullopt, std::move(*main), parent};
  const auto data = store.main.env().use().identity;
  for (const auto& file : *files) {
    if (file.use.identity != data) store.nameless_bytes += file.use.on_disk;
  }
  return store;
}

result<void> examine_place(const fs::path& directory) {
  const auto found = look(directory);
  if (!found) return found.error();
  if (*found == finding::nothing) {
    return error{errc::store_not_found, fmt::format("open store '{}': there is none", directory.string())};
  }
  return check_directory(directory);
}

result<void> examine_recovery(const fs::path& directory, const std::string& boot_id) {
  // Where it has an owner, that has seen to it.
  if (owner_pid(directory)) return {};
  auto stale = needs_restoring(directory / main_directory_name, boot_id.empty() ? system_boot_id() : boot_id);
  if (!stale) return stale.error();
  if (!*stale) return {};
  return error{errc::recovery_needed,
               fmt::format("attach to store '{}': the system went down while it was written; its owner must "
                           "open it first",
                           directory.string())};
}

result<attached_store> attach_store(const fs::path& directory, const attaching_options& options) {
  if (auto fit = examine_place(directory); !fit) return fit.error();
  auto claim = process_claim::make(directory, process_claim::purpose::attach);
  if (!claim) return claim.error();
  if (auto whole = examine_recovery(directory, options.boot_id); !whole) return whole.error();
  auto signal = signal_page::open(directory / signal_name);
  if (!signal) return signal.error();
  auto main = main_environment::open(directory / main_directory_name,
                                     {.map_bytes = options.map_bytes, .read_only = true});
  if (!main) return main.error();
  return attached_store{std::move(*claim), std::move(*signal), std::move(*main),
                        directory / segments_directory_name, directory / jobs_directory_name};
}

}  // namespace levada::storage
