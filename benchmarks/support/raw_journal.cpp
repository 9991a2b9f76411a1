#include "support/raw_journal.hpp"

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <levada/options.hpp>

namespace levada::bench {
namespace {

void check(int code, const char* operation) {
  if (code != 0) throw std::runtime_error{std::string{"raw LMDB: "} + operation + ": " + mdb_strerror(code)};
}

struct transaction_aborter {
  void operator()(MDB_txn* txn) const noexcept { mdb_txn_abort(txn); }
};
using transaction = std::unique_ptr<MDB_txn, transaction_aborter>;

struct cursor_closer {
  void operator()(MDB_cursor* cursor) const noexcept { mdb_cursor_close(cursor); }
};
using cursor = std::unique_ptr<MDB_cursor, cursor_closer>;

transaction begin(MDB_env* env, unsigned flags) {
  MDB_txn* txn = nullptr;
  check(mdb_txn_begin(env, nullptr, flags, &txn), "begin transaction");
  return transaction{txn};
}

cursor open_cursor(const transaction& txn, MDB_dbi table) {
  MDB_cursor* opened = nullptr;
  check(mdb_cursor_open(txn.get(), table, &opened), "open cursor");
  return cursor{opened};
}

/// As many different rows as fit the processor's nearer caches, so that no half reads them from far away.
const std::vector<std::byte>& prepared_bytes() {
  static const std::vector<std::byte> bytes = [] {
    std::vector<std::byte> made(std::size_t{256} << 10);
    std::uint32_t state = 1;
    for (std::byte& b : made) {
      state = state * 1'664'525 + 1'013'904'223;
      b = static_cast<std::byte>(state >> 24);
    }
    return made;
  }();
  return bytes;
}

}  // namespace

journal_content count_journal(const std::filesystem::path& directory) {
  MDB_env* env = nullptr;
  check(mdb_env_create(&env), "create environment");
  const std::unique_ptr<MDB_env, decltype(&mdb_env_close)> closer{env, &mdb_env_close};
  check(mdb_env_set_maxdbs(env, 1), "set number of tables");
  check(mdb_env_open(env, directory.c_str(), MDB_RDONLY | MDB_NOTLS, 0), "open environment to count");
  const transaction txn = begin(env, MDB_RDONLY);
  MDB_dbi journal = 0;
  check(mdb_dbi_open(txn.get(), "journal", 0, &journal), "open table");
  const cursor at = open_cursor(txn, journal);
  MDB_envinfo info{};
  mdb_env_info(env, &info);
  journal_content content{.transactions = info.me_last_txnid};
  MDB_val key{};
  MDB_val value{};
  int code = mdb_cursor_get(at.get(), &key, &value, MDB_FIRST);
  for (; code == 0; code = mdb_cursor_get(at.get(), &key, &value, MDB_NEXT)) {
    ++content.rows;
    content.bytes += value.mv_size;
  }
  if (code != MDB_NOTFOUND) check(code, "count rows");
  return content;
}

std::span<const std::byte> prepared_rows(std::size_t row_bytes) {
  const std::vector<std::byte>& bytes = prepared_bytes();
  return std::span{bytes}.first(bytes.size() / row_bytes * row_bytes);
}

raw_journal::raw_journal(const std::filesystem::path& directory, flushing how) {
  const unsigned flags = MDB_NOTLS | (how == flushing::none ? MDB_NOSYNC | MDB_NOMETASYNC : 0U);
  MDB_env* env = nullptr;
  check(mdb_env_create(&env), "create environment");
  env_.reset(env);
  check(mdb_env_set_mapsize(env, bus_options{}.map_bytes_max), "set map size");
  check(mdb_env_set_maxdbs(env, 1), "set number of tables");
  check(mdb_env_open(env, directory.c_str(), flags, 0600), "open environment");
  transaction txn = begin(env, 0);
  check(mdb_dbi_open(txn.get(), "journal", MDB_CREATE, &journal_), "make table");
  check(mdb_txn_commit(txn.release()), "commit");
}

void raw_journal::append(std::size_t rows, std::size_t row_bytes) {
  const std::span<const std::byte> prepared = prepared_rows(row_bytes);
  const std::size_t distinct = prepared.size() / row_bytes;
  transaction txn = begin(env_.get(), 0);
  {
    const cursor at = open_cursor(txn, journal_);
    for (std::size_t i = 0; i < rows; ++i) {
      std::uint64_t big_endian = __builtin_bswap64(sequence_++);
      MDB_val key{sizeof big_endian, &big_endian};
      // LMDB's C interface lacks const; it only reads.
      MDB_val value{row_bytes, const_cast<std::byte*>(prepared.data() + (i % distinct) * row_bytes)};
      check(mdb_cursor_put(at.get(), &key, &value, MDB_APPEND), "append row");
    }
  }
  check(mdb_txn_commit(txn.release()), "commit");
}

void raw_journal::prune() {
  constexpr std::size_t bytes_max = std::size_t{3} << 19;
  int code = 0;
  while (code == 0) {
    transaction txn = begin(env_.get(), 0);
    {
      const cursor at = open_cursor(txn, journal_);
      MDB_val key{};
      MDB_val value{};
      for (std::size_t bytes = 0; bytes < bytes_max; bytes += value.mv_size) {
        code = mdb_cursor_get(at.get(), &key, &value, MDB_FIRST);
        if (code != 0) break;
        check(mdb_cursor_del(at.get(), 0), "erase row");
      }
    }
    check(mdb_txn_commit(txn.release()), "commit");
  }
  if (code != MDB_NOTFOUND) check(code, "prune rows");
}

std::uint64_t raw_journal::scan() const {
  const transaction txn = begin(env_.get(), MDB_RDONLY);
  const cursor at = open_cursor(txn, journal_);
  MDB_val key{};
  MDB_val value{};
  std::uint64_t sum = 0;
  int code = mdb_cursor_get(at.get(), &key, &value, MDB_FIRST);
  for (; code == 0; code = mdb_cursor_get(at.get(), &key, &value, MDB_NEXT)) {
    const auto* const bytes = static_cast<const std::byte*>(value.mv_data);
    for (std::size_t i = 0; i + sizeof sum <= value.mv_size; i += sizeof sum) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes + i, sizeof word);
      sum += word;
    }
  }
  if (code != MDB_NOTFOUND) check(code, "scan rows");
  return sum;
}

}  // namespace levada::bench
