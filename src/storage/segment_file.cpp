#include "storage/segment_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "storage/errors.hpp"
#include "storage/page_check.hpp"

namespace levada::storage {
namespace {

/// What a writer gathers in memory before it hands it to the file.
constexpr std::size_t commit_bytes = std::size_t{8} << 20;

/// Several segments are open at a time.
constexpr std::size_t segment_touched_max = std::size_t{4} << 20;

constexpr std::array<char, 8> segment_magic{'l', 'e', 'v', 's', 'e', 'g', 'm', '\n'};

/// The value under the key of zeros.
struct stored_identity {
  std::array<char, 8> magic;
  std::uint32_t format;
  std::uint32_t id;
  std::uint64_t sequence_first;
  std::uint64_t sequence_last;
};
static_assert(sizeof(stored_identity) == 32);

/// A key as it is stored: big-endian, so that LMDB's byte order is the order of offsets.
struct stored_key {
  std::uint64_t words[2];

  explicit stored_key(const batch_key& key) noexcept
      : words{big_endian((std::uint64_t{key.log} << 32) | key.partition), big_endian(key.base_offset)} {}
  [[nodiscard]] bytes view() const noexcept { return std::as_bytes(std::span{words}); }
};

std::optional<batch_key> parse_key(bytes stored) noexcept {
  std::uint64_t words[2];
  if (stored.size() != sizeof words) return std::nullopt;
  std::memcpy(words, stored.data(), sizeof words);
  const std::uint64_t first = big_endian(words[0]);
  return batch_key{static_cast<std::uint32_t>(first >> 32), static_cast<std::uint32_t>(first),
                   big_endian(words[1])};
}

bool same_partition(const batch_key& a, const batch_key& b) noexcept {
  return a.log == b.log && a.partition == b.partition;
}

}  // namespace

// segment_writer

result<segment_writer> segment_writer::create(const std::filesystem::path& file,
                                              const segment_identity& identity, std::size_t bytes_max) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) return system_error(errno, "replace", file);
  // Address space only. A small batch may fill half a page, and each needs its entry in the tree.
  const std::size_t map_bytes = 3 * (bytes_max + 5 * commit_bytes);
  auto env = environment::open(
      file, {.map_bytes = map_bytes - map_bytes % 65'536, .no_sync = true, .single_file = true});
  if (!env) return env.error();
  segment_writer self;
  self.file_ = file;
  self.env_ = std::move(*env);
  if (auto begun = self.begin(); !begun) return begun.error();
  auto place = self.add({}, sizeof(stored_identity));
  if (!place) return place.error();
  const stored_identity stored{segment_magic, identity.format, identity.id, identity.sequence_first,
                               identity.sequence_last};
  std::memcpy(place->data(), &stored, sizeof stored);
  return self;
}

segment_writer::segment_writer(segment_writer&& other) noexcept
    : file_{std::exchange(other.file_, {})},
      env_{std::move(other.env_)},
      txn_{std::move(other.txn_)},
      table_{other.table_},
      uncommitted_{other.uncommitted_} {}

segment_writer::~segment_writer() {
  txn_.reset();
  if (!file_.empty()) ::unlink(file_.c_str());
}

result<void> segment_writer::begin() {
  auto txn = write_transaction::begin(env_);
  if (!txn) return txn.error();
  txn_.emplace(std::move(*txn));
  uncommitted_ = 0;
  if (const int rc = mdb_dbi_open(txn_->get(), nullptr, 0, &table_); rc != 0) {
    return lmdb_error(rc, fmt::format("write segment '{}'", file_.string()));
  }
  return {};
}

result<void> segment_writer::commit() {
  const int rc = txn_->commit();
  txn_.reset();
  written_ += uncommitted_;
  if (rc == 0) return {};
  // LMDB reports a short write as EIO.
  return lmdb_error(rc == EIO && env_.no_room() ? ENOSPC : rc,
                    fmt::format("write segment '{}'", file_.string()));
}

bool segment_writer::needs_larger_map(std::size_t size) const noexcept {
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  return written_ + uncommitted_ + size + 4 * commit_bytes > info.me_mapsize / 3;
}

/// Nobody else has the file open, so its map may move while no transaction is under way.
result<void> segment_writer::grow_map(std::size_t size) {
  const std::size_t wanted = 6 * (written_ + size + 4 * commit_bytes);
  if (const int rc = mdb_env_set_mapsize(env_.get(), wanted - wanted % 65'536); rc != 0)
    return lmdb_error(rc, fmt::format("write segment '{}'", file_.string()));
  return {};
}

result<std::span<std::byte>> segment_writer::add(const batch_key& key, std::size_t size) {
  const bool larger = needs_larger_map(size);
  if (larger || (uncommitted_ > 0 && uncommitted_ + size > commit_bytes)) {
    if (auto done = commit(); !done) return done.error();
    if (larger) {
      if (auto grown = grow_map(size); !grown) return grown.error();
    }
    if (auto begun = begin(); !begun) return begun.error();
  }
  auto place = txn_->reserve(table_, stored_key{key}.view(), size);
  if (!place) {
    return error{place.error().code(),
                 fmt::format("write segment '{}': {}", file_.string(), place.error().message())};
  }
  uncommitted_ += size;
  return place;
}

result<std::uint64_t> segment_writer::finish(bool sync) {
  if (auto done = commit(); !done) return done.error();
  if (sync) {
    if (auto synced = env_.sync(); !synced) {
      return error{synced.error().code(),
                   fmt::format("write segment '{}': {}", file_.string(), synced.error().message())};
    }
  }
  struct stat info {};
  if (::stat(file_.c_str(), &info) != 0) return system_error(errno, "examine", file_);
  env_ = {};
  file_.clear();
  return static_cast<std::uint64_t>(info.st_size);
}

// segment_file

result<std::shared_ptr<const segment_file>> segment_file::open(const std::filesystem::path& file,
                                                               std::uint32_t id) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::shared_ptr<const segment_file>{};
    return system_error(errno, "open segment", file);
  }
  if (auto sound = verify_segment_file(file); !sound) return sound.error();
  auto env = environment::open(
      file, {.map_bytes = static_cast<std::size_t>(info.st_size), .read_only = true, .single_file = true});
  if (!env) return env.error();
  if (auto located = env->let_go_of_pages(segment_touched_max); !located) return located.error();
  MDB_dbi table = 0;
  segment_identity identity;
  {
    auto txn = read_transaction::begin(*env);
    if (!txn) return txn.error();
    if (const int rc = mdb_dbi_open(txn->get(), nullptr, 0, &table); rc != 0) {
      return lmdb_error(rc, fmt::format("open segment '{}'", file.string()));
    }
    auto value = txn->get(table, stored_key{{}}.view());
    if (!value) return value.error();
    stored_identity stored{};
    if (*value && (*value)->size() == sizeof stored) std::memcpy(&stored, (*value)->data(), sizeof stored);
    if (stored.magic != segment_magic) {
      return error{errc::damaged, fmt::format("open segment '{}': it is no segment", file.string())};
    }
    if (stored.format != identity.format) {
      return error{errc::unsupported_format,
                   fmt::format("open segment '{}': format {} is not known", file.string(), stored.format)};
    }
    if (stored.id != id) {
      return error{errc::damaged, fmt::format("open segment '{}': it is segment {}, {} was expected",
                                              file.string(), stored.id, id)};
    }
    identity = {stored.format, stored.id, stored.sequence_first, stored.sequence_last};
  }
  return std::make_shared<const segment_file>(std::move(*env), table, identity, file);
}

// segment_reader

result<segment_reader> segment_reader::open(std::shared_ptr<const segment_file> segment) {
  auto txn = read_transaction::begin(segment->env_);
  if (!txn) return txn.error();
  auto c = cursor::open(*txn, segment->table_);
  if (!c) return c.error();
  return segment_reader{std::move(segment), std::move(*txn), std::move(*c)};
}

result<std::optional<batch_view>> segment_reader::view(result<std::optional<cursor::entry>> at) const {
  if (!at) return at.error();
  if (!*at) return std::optional<batch_view>{};
  const auto key = parse_key((*at)->key);
  batch_view batch;
  if (!key || !parse_batch(*key, (*at)->value, batch)) {
    return error{
        errc::damaged,
        fmt::format("read segment '{}': the batch of log {} partition {} offset {} has impossible sizes",
                    segment_->file().string(), key ? key->log : 0, key ? key->partition : 0,
                    key ? key->base_offset : 0)};
  }
  return std::optional{batch};
}

result<std::optional<batch_view>> segment_reader::if_in_partition(
    result<std::optional<cursor::entry>> at) const {
  if (!at) return at.error();
  const auto key = *at ? parse_key((*at)->key) : std::nullopt;
  if (!key || !same_partition(*key, at_)) return std::optional<batch_view>{};
  return view(std::move(at));
}

result<std::optional<batch_view>> segment_reader::find(const batch_key& key) {
  at_ = key;
  auto found = cursor_.move(MDB_SET_RANGE, stored_key{key}.view());
  if (!found) return found.error();
  if (*found && parse_key((*found)->key) == key) return view(std::move(found));
  // There is always an entry before it: the segment's identity.
  auto before = if_in_partition(cursor_.move(*found ? MDB_PREV : MDB_LAST));
  if (!before) return before.error();
  if (*before && (*before)->header.end_offset > key.base_offset) return before;
  return next_in_partition();
}

result<std::optional<batch_view>> segment_reader::next_in_partition() {
  return if_in_partition(cursor_.move(MDB_NEXT));
}

result<std::optional<batch_view>> segment_reader::first() {
  // The segment's identity comes before all batches.
  auto identity = cursor_.move(MDB_FIRST);
  if (!identity) return identity.error();
  return next();
}

result<std::optional<batch_view>> segment_reader::next() {
  return view(cursor_.move(MDB_NEXT));
}

}  // namespace levada::storage
