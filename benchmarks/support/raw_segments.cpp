#include "support/raw_segments.hpp"

#include <fmt/format.h>
#include <lmdb.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace levada::bench {
namespace {

void check(int rc, const char* what) {
  if (rc != 0) throw std::runtime_error{fmt::format("raw scan of segments: {}: {}", what, mdb_strerror(rc))};
}

struct closer {
  void operator()(MDB_env* env) const noexcept { mdb_env_close(env); }
  void operator()(MDB_txn* txn) const noexcept { mdb_txn_abort(txn); }
  void operator()(MDB_cursor* cursor) const noexcept { mdb_cursor_close(cursor); }
};

std::uint64_t digest(const MDB_val& value, bool hash) {
  const auto* const bytes = static_cast<const std::byte*>(value.mv_data);
  if (hash) return XXH3_64bits(bytes, value.mv_size);
  constexpr std::size_t stride = 128;
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at + sizeof sum <= value.mv_size; at += stride) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + at, sizeof word);
    sum += word;
  }
  return sum;
}

std::uint64_t scan(const std::filesystem::path& file, bool hash, share part) {
  MDB_env* raw_env = nullptr;
  check(mdb_env_create(&raw_env), "create environment");
  const std::unique_ptr<MDB_env, closer> env{raw_env};
  check(mdb_env_set_mapsize(env.get(), std::filesystem::file_size(file)), "set map size");
  check(mdb_env_open(env.get(), file.c_str(), MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR | MDB_NOTLS, 0600),
        "open");
  MDB_txn* raw_txn = nullptr;
  check(mdb_txn_begin(env.get(), nullptr, MDB_RDONLY, &raw_txn), "begin");
  const std::unique_ptr<MDB_txn, closer> txn{raw_txn};
  MDB_dbi table = 0;
  check(mdb_dbi_open(txn.get(), nullptr, 0, &table), "open table");
  MDB_cursor* raw_cursor = nullptr;
  check(mdb_cursor_open(txn.get(), table, &raw_cursor), "open cursor");
  const std::unique_ptr<MDB_cursor, closer> cursor{raw_cursor};
  std::uint64_t sum = 0;
  MDB_val key{};
  MDB_val value{};
  int rc = mdb_cursor_get(cursor.get(), &key, &value, MDB_FIRST);
  std::size_t entry = 0;
  for (; rc == 0; rc = mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT)) {
    if (entry++ % part.of == part.index) sum += digest(value, hash);
  }
  if (rc != MDB_NOTFOUND) check(rc, "next");
  return sum;
}

}  // namespace

std::uint64_t scan_segments(const std::filesystem::path& directory, bool hash, share part) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator{directory}) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  if (files.empty()) throw std::runtime_error{"raw scan of segments: there are none"};
  std::uint64_t sum = 0;
  for (const auto& file : files) sum += scan(file, hash, part);
  return sum;
}

}  // namespace levada::bench
