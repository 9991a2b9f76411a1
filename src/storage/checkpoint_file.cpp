#include "storage/checkpoint_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "storage/errors.hpp"
#include "storage/file_io.hpp"
#include "storage/lmdb_format.hpp"
#include "storage/page_check.hpp"

namespace levada::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::array<char, 8> checkpoint_magic{'l', 'e', 'v', 'c', 'h', 'k', 'p', '\n'};
constexpr std::uint32_t format = 1;
constexpr std::size_t slot_count = 2;
/// Room for the largest meta page, and a multiple of every page size of the system.
constexpr std::size_t slot_bytes = std::size_t{128} << 10;
constexpr std::size_t file_bytes = slot_count * slot_bytes;

/// What a slot begins with, little-endian; the meta page follows. All zeros: never written.
struct slot_header {
  std::uint64_t checksum;  ///< XXH3-64 of all that follows, up to the end of the meta page
  std::array<char, 8> magic;
  std::uint32_t format;
  std::uint32_t meta_page_size;
  std::uint64_t generation;  ///< one more than in the other slot, when this one was written
  std::uint64_t transaction;
  std::int64_t time;
  std::array<char, boot_id_bytes_max + 1> boot_id;  ///< padded with zeros
  std::array<std::uint64_t, 2> zero;
};
static_assert(sizeof(slot_header) == 128);
static_assert(sizeof(slot_header) + lmdb_format::page_size_max <= slot_bytes);

/// A slot as it is stored: header and meta page in one piece.
using slot_content = std::vector<std::byte>;

std::uint64_t checksum_of(bytes slot) noexcept {
  const bytes covered = slot.subspan(sizeof(slot_header::checksum));
  return XXH3_64bits(covered.data(), covered.size());
}

bool is_page_size(std::size_t size) noexcept {
  return std::has_single_bit(size) && size >= lmdb_format::page_size_min &&
         size <= lmdb_format::page_size_max;
}

slot_content encode(const checkpoint& what, std::uint64_t generation) {
  slot_header header{};
  header.magic = checkpoint_magic;
  header.format = format;
  header.meta_page_size = static_cast<std::uint32_t>(what.meta_page.size());
  header.generation = generation;
  header.transaction = what.transaction;
  header.time = what.time;
  std::copy(what.boot_id.begin(), what.boot_id.end(), header.boot_id.begin());
  slot_content slot(sizeof header + what.meta_page.size());
  std::memcpy(slot.data(), &header, sizeof header);
  std::copy(what.meta_page.begin(), what.meta_page.end(), slot.begin() + sizeof header);
  header.checksum = checksum_of(slot);
  std::memcpy(slot.data(), &header.checksum, sizeof header.checksum);
  return slot;
}

enum class slot_state { blank, broken, whole };

struct slot_reading {
  slot_state state = slot_state::broken;
  slot_header header{};
  std::vector<std::byte> meta_page;
};

/// `area` is all that a slot has room for.
slot_reading decode(bytes area) {
  slot_reading found;
  std::memcpy(&found.header, area.data(), sizeof found.header);
  const bytes head = area.first(sizeof found.header);
  if (std::all_of(head.begin(), head.end(), [](std::byte b) { return b == std::byte{0}; })) {
    found.state = slot_state::blank;
    return found;
  }
  if (found.header.magic != checkpoint_magic || !is_page_size(found.header.meta_page_size)) return found;
  const bytes slot = area.first(sizeof found.header + found.header.meta_page_size);
  if (checksum_of(slot) != found.header.checksum || found.header.boot_id.back() != '\0') return found;
  const bytes page = slot.subspan(sizeof found.header);
  found.meta_page.assign(page.begin(), page.end());
  found.state = slot_state::whole;
  return found;
}

error damaged(std::string_view operation, const fs::path& file, std::string_view what) {
  return {errc::damaged, fmt::format("{} '{}': {}", operation, file.string(), what)};
}

struct file_reading {
  std::array<slot_reading, slot_count> slots;
  /// The slot that counts.
  std::optional<std::size_t> newest;

  /// The slot whose content is worth the least. A broken one goes first, so that there are never two.
  [[nodiscard]] std::size_t worst() const noexcept {
    if (newest) return 1 - *newest;
    return slots[1].state == slot_state::broken ? 1 : 0;
  }
};

/// Reads both slots; fails where they are in a state that no crash leaves behind.
result<file_reading> read_slots(int fd, const fs::path& file) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error(errno, "examine", file);
  // Made with its full size, the file never has another one.
  if (!S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) != file_bytes) {
    return damaged("read checkpoint", file, fmt::format("it is no file of {} bytes", file_bytes));
  }
  file_reading found;
  std::vector<std::byte> area(slot_bytes);
  for (std::size_t i = 0; i < slot_count; ++i) {
    const int failure = read_at(fd, i * slot_bytes, area.data(), area.size());
    if (failure > 0) return system_error(failure, "read", file);
    if (failure < 0) return damaged("read checkpoint", file, "it ends too early");
    found.slots[i] = decode(area);
    if (found.slots[i].state != slot_state::whole) continue;
    if (!found.newest || found.slots[i].header.generation > found.slots[*found.newest].header.generation) {
      found.newest = i;
    }
  }
  if (!found.newest) {
    // A crash cuts off one write, and the next one goes to the same slot.
    if (std::all_of(found.slots.begin(), found.slots.end(),
                    [](const slot_reading& slot) { return slot.state == slot_state::broken; })) {
      return damaged("read checkpoint", file, "neither of its two slots is whole");
    }
  } else if (const auto version = found.slots[*found.newest].header.format; version != format) {
    return error{errc::unsupported_format,
                 fmt::format("read checkpoint '{}': it has format {}; this version reads {}", file.string(),
                             version, format)};
  }
  return found;
}

fs::path directory_of(const fs::path& file) {
  const fs::path parent = file.parent_path();
  return parent.empty() ? fs::path{"."} : parent;
}

/// What the file is called until it is whole.
fs::path scratch_name(const fs::path& file) {
  fs::path name = file;
  name += ".new";
  return name;
}

result<void> unlink_if_there(const fs::path& file) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) return system_error(errno, "remove", file);
  return {};
}

/// Fills a new file with blank slots and flushes it.
result<void> fill(const fs::path& file) {
  const unique_fd fd{::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)};
  if (!fd) return system_error(errno, "create", file);
  // Written, not left as a hole: a checkpoint must not fail for lack of room, nor have to flush the file's
  // metadata.
  const std::vector<std::byte> zeros(file_bytes);
  if (const int failure = write_at(fd.get(), 0, zeros.data(), zeros.size()); failure != 0) {
    return system_error(failure, "write", file);
  }
  if (::fsync(fd.get()) != 0) return system_error(errno, "sync", file);
  return {};
}

result<void> create(const fs::path& file) {
  const fs::path scratch = scratch_name(file);
  // What a crash left: there is only one writer.
  if (auto removed = unlink_if_there(scratch); !removed) return removed;
  auto filled = fill(scratch);
  if (filled && ::rename(scratch.c_str(), file.c_str()) != 0) filled = system_error(errno, "create", file);
  if (!filled) ::unlink(scratch.c_str());
  return filled;
}

/// Reads the part of a meta page that has a meaning.
result<std::array<std::byte, lmdb_format::meta_page_head_size>> read_head(int fd, std::uint64_t offset,
                                                                          const fs::path& data_file) {
  std::array<std::byte, lmdb_format::meta_page_head_size> head{};
  const int failure = read_at(fd, offset, head.data(), head.size());
  if (failure > 0) return system_error(failure, "read", data_file);
  if (failure < 0) return damaged("read meta page of", data_file, "it ends before its second page");
  if (const auto fault = lmdb_format::fault_of(head); !fault.empty()) {
    return damaged("read meta page of", data_file, fault);
  }
  return head;
}

}  // namespace

result<checkpoint_file> checkpoint_file::open_or_create(const fs::path& file) {
  unique_fd fd{::open(file.c_str(), O_RDWR | O_CLOEXEC)};
  if (!fd && errno == ENOENT) {
    if (auto created = create(file); !created) return created.error();
    fd = unique_fd{::open(file.c_str(), O_RDWR | O_CLOEXEC)};
  }
  if (!fd) return system_error(errno, "open", file);
  const auto found = read_slots(fd.get(), file);
  if (!found) return found.error();
  // Also where the file was there: its maker may have died before this.
  if (auto synced = sync_directory(directory_of(file)); !synced) return synced.error();
  const std::uint64_t generation = found->newest ? found->slots[*found->newest].header.generation : 0;
  return checkpoint_file{std::move(fd), file, generation + 1, found->worst()};
}

result<std::optional<checkpoint>> checkpoint_file::read(const fs::path& file) {
  const unique_fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) {
    if (errno == ENOENT) return std::optional<checkpoint>{};
    return system_error(errno, "open", file);
  }
  auto found = read_slots(fd.get(), file);
  if (!found) return found.error();
  if (!found->newest) return std::optional<checkpoint>{};
  slot_reading& slot = found->slots[*found->newest];
  return std::optional<checkpoint>{checkpoint{slot.header.transaction, slot.header.time,
                                              slot.header.boot_id.data(), std::move(slot.meta_page)}};
}

result<void> checkpoint_file::write(const checkpoint& what) {
  if (what.boot_id.size() > boot_id_bytes_max || what.boot_id.find('\0') != std::string::npos) {
    return error{
        errc::invalid_argument,
        fmt::format("write checkpoint '{}': a boot id of {} bytes; up to {}, and no zeros, are allowed",
                    file_.string(), what.boot_id.size(), boot_id_bytes_max)};
  }
  if (!is_page_size(what.meta_page.size())) {
    return error{
        errc::invalid_argument,
        fmt::format("write checkpoint '{}': a meta page of {} bytes; it must be a power of two from {} to {}",
                    file_.string(), what.meta_page.size(), lmdb_format::page_size_min,
                    lmdb_format::page_size_max)};
  }
  const slot_content slot = encode(what, next_generation_);
  if (const int failure = write_at(fd_.get(), next_slot_ * slot_bytes, slot.data(), slot.size());
      failure != 0) {
    return system_error(failure, "write", file_);
  }
  if (::fdatasync(fd_.get()) != 0) return system_error(errno, "sync", file_);
  ++next_generation_;
  next_slot_ = 1 - next_slot_;
  return {};
}

result<void> checkpoint_file::remove(const fs::path& file) {
  if (auto removed = unlink_if_there(file); !removed) return removed;
  if (auto removed = unlink_if_there(scratch_name(file)); !removed) return removed;
  return sync_directory(directory_of(file));
}

result<std::optional<std::vector<std::byte>>> read_meta_page(const fs::path& data_file,
                                                             std::uint64_t transaction) {
  const unique_fd fd{::open(data_file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) {
    if (errno == ENOENT) return damaged("read meta page of", data_file, "the store has lost this file");
    return system_error(errno, "open", data_file);
  }
  const auto first = read_head(fd.get(), 0, data_file);
  if (!first) return first.error();
  const std::uint64_t page_size = lmdb_format::meta_of(*first).free.pad;
  const std::uint64_t place = transaction % lmdb_format::meta_pages;

  std::vector<std::byte> page(static_cast<std::size_t>(page_size));
  const int failure = read_at(fd.get(), place * page_size, page.data(), page.size());
  if (failure > 0) return system_error(failure, "read", data_file);
  if (failure < 0) return damaged("read meta page of", data_file, "it ends before its second page");
  const auto head = bytes{page}.first<lmdb_format::meta_page_head_size>();
  if (const auto fault = lmdb_format::fault_of(head); !fault.empty()) {
    return damaged("read meta page of", data_file, fault);
  }
  // Behind the copy: as long as the next commit is not on record, the one that overwrites this page has not
  // begun.
  const auto other = read_head(fd.get(), (1 - place) * page_size, data_file);
  if (!other) return other.error();
  if (lmdb_format::meta_of(head).transaction != transaction ||
      lmdb_format::meta_of(*other).transaction > transaction) {
    return std::optional<std::vector<std::byte>>{};
  }
  return std::optional{std::move(page)};
}

result<void> restore_meta_page(const fs::path& data_file, bytes meta_page) {
  const auto shape = check_snapshot(data_file, meta_page);
  if (!shape) return shape.error();
  const auto refuse = [&](std::string_view why) {
    return damaged(
        "restore", data_file,
        fmt::format("it does not hold the snapshot of transaction {} that its checkpoint names: {}",
                    shape->transaction, why));
  };
  if (meta_page.size() != shape->page_size) return refuse("the sizes of the pages differ");
  const auto walked = walk_main_file(data_file, *shape);
  if (!walked) return walked.error();
  if (!walked->problems.empty()) return refuse(walked->problems.front().what);

  const unique_fd fd{::open(data_file.c_str(), O_RDWR | O_CLOEXEC)};
  if (!fd) return system_error(errno, "open", data_file);
  std::vector<std::byte> page{meta_page.begin(), meta_page.end()};
  const std::uint64_t own = shape->transaction % lmdb_format::meta_pages;
  // The page on which the snapshot stands by right comes last: if it still stands there, that is so at every
  // moment.
  for (const std::uint64_t number : {1 - own, own}) {
    std::memcpy(page.data(), &number, sizeof number);
    if (const int failure = write_at(fd.get(), number * shape->page_size, page.data(), page.size());
        failure != 0) {
      return system_error(failure, "write", data_file);
    }
    if (::fsync(fd.get()) != 0) return system_error(errno, "sync", data_file);
  }
  return {};
}

}  // namespace levada::storage
