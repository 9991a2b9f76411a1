#include "storage/main_environment.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "storage/errors.hpp"
#include "storage/page_check.hpp"

namespace levada::storage {
namespace {

/// Up to this size, walking all pages takes no time worth saving.
constexpr std::uint64_t always_checked_bytes_max = std::uint64_t{64} << 20;

constexpr std::size_t touched_bytes_max = std::size_t{16} << 20;

struct named_table {
  const char* name;
  MDB_dbi main_tables::*table;
};
constexpr named_table table_names[] = {
    {"journal", &main_tables::journal}, {"catalog", &main_tables::catalog},
    {"offsets", &main_tables::offsets}, {"producers", &main_tables::producers},
    {"queues", &main_tables::queues},   {"schedule", &main_tables::schedule},
    {"tickets", &main_tables::tickets}, {"unsettled", &main_tables::unsettled},
    {"host", &main_tables::host},
};

/// LMDB keeps table handles only when the transaction that opened them is committed.
result<main_tables> open_tables(const environment& env, unsigned transaction_flags, unsigned table_flags) {
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env.get(), nullptr, transaction_flags, &txn); rc != 0) {
    return lmdb_error(rc, "begin transaction on main environment");
  }
  main_tables tables;
  for (const auto& [name, table] : table_names) {
    if (const int rc = mdb_dbi_open(txn, name, table_flags, &(tables.*table)); rc != 0) {
      mdb_txn_abort(txn);
      return lmdb_error(rc, fmt::format("open table '{}' of main environment", name));
    }
  }
  if (const int rc = mdb_txn_commit(txn); rc != 0) {
    // LMDB reports a short write as EIO.
    return lmdb_error(rc == EIO && env.no_room() ? ENOSPC : rc, "open tables of main environment");
  }
  return tables;
}

}  // namespace

result<main_environment> main_environment::open(const std::filesystem::path& directory,
                                                const environment_options& options,
                                                std::optional<std::uint64_t> clean_transaction) {
  const auto file = directory / "data.mdb";
  const auto shape = check_main_file(file);
  if (!shape) return shape.error();
  const bool believed = shape->transaction == clean_transaction &&
                        shape->file_pages * shape->page_size > always_checked_bytes_max;
  if (!believed) {
    if (auto sound = verify_main_file(file); !sound) return sound.error();
  }
  auto env = environment::open(directory, options);
  if (!env) return env.error();
  auto tables = open_tables(*env, MDB_RDONLY, 0);
  if (!tables) return tables.error();
  if (auto located = env->let_go_of_pages(touched_bytes_max); !located) return located.error();
  return main_environment{std::move(*env), *tables};
}

result<main_environment> main_environment::create(const std::filesystem::path& directory,
                                                  const environment_options& options) {
  auto env = environment::open(directory, options);
  if (!env) return env.error();
  auto tables = open_tables(*env, 0, MDB_CREATE);
  if (!tables) return tables.error();
  if (auto located = env->let_go_of_pages(touched_bytes_max); !located) return located.error();
  return main_environment{std::move(*env), *tables};
}

}  // namespace levada::storage
