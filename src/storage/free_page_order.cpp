#include "storage/free_page_order.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "storage/free_pages.hpp"

namespace levada::storage {
namespace {

constexpr std::size_t pages_max = std::size_t{1} << 16;
/// As many runs as it takes for nearly all lists to be read before the last of them is found.
constexpr std::size_t runs_max = 16;
/// More than one of LMDB's lists of one page holds.
constexpr std::size_t run_min = 512;
/// What the transaction itself may take of a run for copies of the table's own pages.
constexpr std::size_t margin = 32;
/// LMDB's header of a page.
constexpr std::size_t header_bytes = 16;

/// The lengths of the longest runs of consecutive pages, the longest first.
std::vector<std::size_t> longest_runs(std::vector<std::uint64_t> pages) {
  std::sort(pages.begin(), pages.end());
  std::vector<std::size_t> runs;
  for (std::size_t i = 0, begin = 0; i < pages.size(); ++i) {
    if (i + 1 < pages.size() && pages[i + 1] == pages[i] + 1) continue;
    if (i + 1 - begin >= run_min) runs.push_back(i + 1 - begin);
    begin = i + 1;
  }
  std::sort(runs.begin(), runs.end(), std::greater<>{});
  runs.resize(std::min(runs.size(), runs_max));
  return runs;
}

}  // namespace

result<void> order_free_pages(const environment& env, write_transaction& txn, MDB_dbi table) {
  std::vector<std::uint64_t> pages;
  std::size_t page_size = 0;
  {
    const auto snapshot = read_transaction::begin(env);
    if (!snapshot) return snapshot.error();
    std::uint64_t oldest = snapshot->id();
    for (const auto& reader : env.readers()) oldest = std::min(oldest, reader.transaction);
    auto seen = see_free_pages(*snapshot, [&](std::uint64_t transaction, const free_list& list) {
      if (transaction >= oldest || pages.size() + list.size() > pages_max) return false;
      for (std::size_t i = 0; i < list.size(); ++i) pages.push_back(list[i]);
      return true;
    });
    if (!seen) return seen.error();
    page_size = *seen;
  }
  const auto runs = longest_runs(std::move(pages));
  const auto key = [](std::size_t i) { return big_endian(std::numeric_limits<std::uint64_t>::max() - i); };
  const auto as_bytes = [](const std::uint64_t& number) { return std::as_bytes(std::span{&number, 1}); };
  // The longest first: each then finds a run that is no shorter, whichever those before it have taken.
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::uint64_t name = key(i);
    if (auto room = txn.reserve(table, as_bytes(name), (runs[i] - margin) * page_size - header_bytes); !room)
      return room.error();
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::uint64_t name = key(i);
    if (auto erased = txn.erase(table, as_bytes(name)); !erased) return erased.error();
  }
  return {};
}

}  // namespace levada::storage
