#include "storage/free_pages.hpp"

#include <cstring>

#include "storage/errors.hpp"

namespace levada::storage {
namespace {

/// LMDB's own table of free pages: transactions and, for each, how many pages, and which.
constexpr MDB_dbi free_table = 0;

}  // namespace

std::uint64_t free_list::operator[](std::size_t i) const noexcept {
  std::size_t page = 0;
  std::memcpy(&page, numbers_.data() + i * sizeof page, sizeof page);
  return page;
}

result<std::size_t> see_free_pages(const read_transaction& snapshot,
                                   const std::function<bool(std::uint64_t, const free_list&)>& see) {
  MDB_stat shape{};
  if (const int rc = mdb_env_stat(mdb_txn_env(snapshot.get()), &shape); rc != 0)
    return lmdb_error(rc, "examine pages");
  auto lists = cursor::open(snapshot, free_table);
  if (!lists) return lists.error();
  for (auto at = lists->move(MDB_FIRST);; at = lists->move(MDB_NEXT)) {
    if (!at) return at.error();
    if (!*at) return shape.ms_psize;
    // In the order and size of the machine's words: how many, and the pages.
    std::size_t transaction = 0;
    std::size_t pages = 0;
    const error damaged{errc::damaged, "examine pages: a list of free ones has an impossible size"};
    const auto [key, value] = **at;
    if (key.size() != sizeof transaction || value.size() < sizeof pages) return damaged;
    std::memcpy(&transaction, key.data(), sizeof transaction);
    std::memcpy(&pages, value.data(), sizeof pages);
    const bytes numbers = value.subspan(sizeof pages);
    if (pages > numbers.size() / sizeof pages) return damaged;
    if (!see(transaction, free_list{numbers.first(pages * sizeof pages)})) return shape.ms_psize;
  }
}

result<free_pages> read_free_pages(const read_transaction& snapshot) {
  free_pages found;
  MDB_envinfo info{};
  if (const int rc = mdb_env_info(mdb_txn_env(snapshot.get()), &info); rc != 0)
    return lmdb_error(rc, "examine pages");
  found.used_ever = info.me_last_pgno + 1;
  auto page_size = see_free_pages(snapshot, [&](std::uint64_t transaction, const free_list& list) {
    found.lists.push_back({transaction, list.size()});
    return true;
  });
  if (!page_size) return page_size.error();
  found.page_size = *page_size;
  return found;
}

}  // namespace levada::storage
