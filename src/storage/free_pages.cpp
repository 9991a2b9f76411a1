#include "storage/free_pages.hpp"

#include <cstring>

#include "storage/errors.hpp"

namespace levada::storage {
namespace {

/// LMDB's own table of free pages: transactions and, for each, how many pages, and which.
constexpr MDB_dbi free_table = 0;

}  // namespace

result<free_pages> read_free_pages(const read_transaction& snapshot) {
  free_pages found;
  MDB_env* const env = mdb_txn_env(snapshot.get());
  MDB_envinfo info{};
  MDB_stat shape{};
  if (const int rc = mdb_env_info(env, &info); rc != 0) return lmdb_error(rc, "examine pages");
  if (const int rc = mdb_env_stat(env, &shape); rc != 0) return lmdb_error(rc, "examine pages");
  found.page_size = shape.ms_psize;
  found.used_ever = info.me_last_pgno + 1;
  auto lists = cursor::open(snapshot, free_table);
  if (!lists) return lists.error();
  for (auto at = lists->move(MDB_FIRST);; at = lists->move(MDB_NEXT)) {
    if (!at) return at.error();
    if (!*at) return found;
    // In the order and size of the machine's words.
    std::size_t transaction = 0;
    std::size_t pages = 0;
    if ((*at)->key.size() != sizeof transaction || (*at)->value.size() < sizeof pages)
      return error{errc::damaged, "examine pages: a list of free ones has an impossible size"};
    std::memcpy(&transaction, (*at)->key.data(), sizeof transaction);
    std::memcpy(&pages, (*at)->value.data(), sizeof pages);
    found.lists.push_back({transaction, pages});
  }
}

}  // namespace levada::storage
