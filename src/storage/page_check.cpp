#include "storage/page_check.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/errors.hpp"
#include "storage/file_io.hpp"
#include "storage/lmdb_format.hpp"
#include "storage/unique_fd.hpp"

namespace levada::storage {
namespace {

using namespace lmdb_format;

constexpr std::size_t problems_max = 1000;

error damaged(const std::filesystem::path& file, std::string_view what) {
  return {errc::damaged, fmt::format("check '{}': {}", file.string(), what)};
}

result<unique_fd> open_file(const std::filesystem::path& file) {
  unique_fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (fd) return fd;
  if (errno == ENOENT) return damaged(file, "the store has lost this file");
  return system_error(errno, "open", file);
}

/// One walk over one snapshot.
class walk {
 public:
  walk(int fd, const std::filesystem::path& file, const main_file_shape& shape)
      : fd_{fd},
        file_{file},
        page_size_{static_cast<std::size_t>(shape.page_size)},
        file_pages_{shape.file_pages},
        page_end_{std::min(shape.last_page + 1, shape.file_pages)},
        free_page_end_{shape.last_page + 1},
        used_(shape.file_pages) {}

  /// `what` the tree of tables is in a main file, and the one table of a segment's file.
  enum class content { free_pages, tables, values, large_values };

  result<page_walk> run(const main_file_shape& shape, content what) {
    for (std::uint64_t page = 0; page < meta_pages; ++page) take(page, free_page_end_, "a meta page");
    const tree free = std::bit_cast<tree>(shape.trees[0]);
    const tree main = std::bit_cast<tree>(shape.trees[1]);
    if (auto done = walk_tree(free, content::free_pages, "list of free pages"); !done) return done.error();
    const char* const main_name = what == content::tables ? "list of tables" : "segment";
    if (auto done = walk_tree(main, what, main_name); !done) return done.error();
    for (std::size_t i = 0; i < tables_.size() && !full(); ++i) {
      const auto [name, table] = tables_[i];
      if (auto done = walk_tree(table, content::values, fmt::format("table '{}'", name)); !done) {
        return done.error();
      }
    }
    // Space at the end that was taken and given back within one transaction is never written.
    if (found_.problems.empty() && free_page_end_ > file_pages_ &&
        beyond_file_ != free_page_end_ - file_pages_) {
      problem("the file", file_pages_, fmt::format("it ends here, and should hold {} pages", free_page_end_));
    }
    return std::move(found_);
  }

 private:
  struct place {
    std::uint64_t page;
    std::size_t depth;
    std::string low;  ///< no key in the subtree is less; empty: unbounded
  };
  struct counts {
    std::uint64_t branch = 0;
    std::uint64_t leaf = 0;
    std::uint64_t overflow = 0;
    std::uint64_t entries = 0;
  };

  [[nodiscard]] bool full() const noexcept { return found_.problems.size() >= problems_max; }

  void problem(std::string_view where, std::uint64_t page, std::string_view what) {
    if (!full()) found_.problems.push_back({"main", fmt::format("{}, page {}: {}", where, page, what)});
  }

  /// Takes a page for one purpose. False where it does not exist, or serves another purpose already.
  bool take(std::uint64_t page, std::uint64_t end, std::string_view where) {
    if (page >= end) {
      problem(where, page, fmt::format("it lies beyond the end, {}", end));
      return false;
    }
    ++found_.pages;
    if (page >= file_pages_) {
      ++beyond_file_;
      return true;
    }
    if (used_[page]) {
      problem(where, page, "it is used twice");
      return false;
    }
    used_[page] = true;
    return true;
  }

  result<void> walk_tree(const tree& t, content what, const std::string& where) {
    if (t.root == no_page) {
      if (t.depth != 0 || t.entries != 0) problem(where, t.root, "it has entries but no root");
      return {};
    }
    if (t.depth == 0 || t.depth > depth_max) {
      problem(where, t.root, fmt::format("a depth of {} is impossible", t.depth));
      return {};
    }
    const bool numeric = what == content::free_pages || (t.flags & integer_keys) != 0;
    counts seen;
    std::optional<std::string> previous;
    // Depth first and from left to right, so that keys come in order.
    std::vector<place> left{{t.root, 1, {}}};
    while (!left.empty() && !full()) {
      const place at = std::move(left.back());
      left.pop_back();
      if (!take(at.page, page_end_, where)) continue;
      page_.resize(page_size_);
      if (auto done = read_pages(at.page, 1, page_, where); !done || !*done) {
        if (!done) return done.error();
        continue;
      }
      const bool is_leaf = at.depth == t.depth;
      if (!check_page(page_, at.page, is_leaf ? leaf : branch, where)) continue;
      if (auto done = is_leaf ? walk_leaf(at, what, numeric, where, previous, seen)
                              : walk_branch(at, numeric, where, left, seen);
          !done) {
        return done;
      }
    }
    if (full() || !found_.problems.empty()) return {};
    if (seen.branch != t.branch_pages || seen.leaf != t.leaf_pages || seen.overflow != t.overflow_pages ||
        seen.entries != t.entries) {
      problem(where, t.root,
              fmt::format("it has {} + {} + {} pages and {} entries, where {} + {} + {} and {} are on record",
                          seen.branch, seen.leaf, seen.overflow, seen.entries, t.branch_pages, t.leaf_pages,
                          t.overflow_pages, t.entries));
    }
    return {};
  }

  /// Whether the pages could be read in full.
  result<bool> read_pages(std::uint64_t page, std::uint64_t count, std::vector<std::byte>& to,
                          std::string_view where) {
    const int failure =
        read_at(fd_, page * page_size_, to.data(), static_cast<std::size_t>(count) * page_size_);
    if (failure > 0) return system_error(failure, "read", file_);
    if (failure < 0) problem(where, page, "the file ends before it");
    return failure == 0;
  }

  bool check_page(const std::vector<std::byte>& page_bytes, std::uint64_t page, page_flags kind,
                  std::string_view where) {
    if (load<std::uint64_t>(page_bytes.data()) != page) {
      problem(where, page, fmt::format("it says that it is page {}", load<std::uint64_t>(page_bytes.data())));
      return false;
    }
    if (load<std::uint16_t>(page_bytes.data() + 10) != kind) {
      problem(where, page,
              fmt::format("its kind is {:#x}, {:#x} was expected",
                          load<std::uint16_t>(page_bytes.data() + 10), static_cast<unsigned>(kind)));
      return false;
    }
    if (kind == overflow) return true;
    const std::size_t lower = load<std::uint16_t>(page_bytes.data() + 12);
    const std::size_t upper = load<std::uint16_t>(page_bytes.data() + 14);
    if (lower < page_header_size || lower > upper || upper > page_size_ || lower % 2 != 0) {
      problem(where, page, fmt::format("its bounds {} and {} are impossible", lower, upper));
      return false;
    }
    return true;
  }

  [[nodiscard]] static std::size_t nodes_in(const std::vector<std::byte>& page_bytes) noexcept {
    return (load<std::uint16_t>(page_bytes.data() + 12) - page_header_size) / 2;
  }

  /// A node of the current page, within its bounds.
  struct node {
    std::uint16_t low = 0;
    std::uint16_t high = 0;
    std::uint16_t flags = 0;
    std::string_view key;
    const std::byte* value = nullptr;
    std::size_t room = 0;  ///< bytes from `value` to the end of the page
  };
  std::optional<node> node_at(std::size_t index, std::uint64_t page, std::string_view where) {
    const std::size_t upper = load<std::uint16_t>(page_.data() + 14);
    const std::size_t at = load<std::uint16_t>(page_.data() + page_header_size + 2 * index);
    if (at < upper || at % 2 != 0 || at + node_header_size > page_size_) {
      problem(where, page, fmt::format("its node {} lies outside of it", index));
      return std::nullopt;
    }
    const std::byte* const start = page_.data() + at;
    node n;
    n.low = load<std::uint16_t>(start);
    n.high = load<std::uint16_t>(start + 2);
    n.flags = load<std::uint16_t>(start + 4);
    const std::size_t key_size = load<std::uint16_t>(start + 6);
    if (key_size > key_size_max || at + node_header_size + key_size > page_size_) {
      problem(where, page, fmt::format("the key of its node {} has {} bytes", index, key_size));
      return std::nullopt;
    }
    n.key = {reinterpret_cast<const char*>(start) + node_header_size, key_size};
    n.value = start + node_header_size + key_size;
    n.room = page_size_ - at - node_header_size - key_size;
    return n;
  }

  /// LMDB's order of keys: numbers in the list of free pages, bytes everywhere else.
  static bool less(bool numeric, std::string_view a, std::string_view b) noexcept {
    if (numeric && a.size() == sizeof(std::uint64_t) && b.size() == sizeof(std::uint64_t)) {
      return load<std::uint64_t>(reinterpret_cast<const std::byte*>(a.data())) <
             load<std::uint64_t>(reinterpret_cast<const std::byte*>(b.data()));
    }
    return a < b;
  }

  /// Whether the key of a node may stand where it does: behind the previous one, and not below what the
  /// parent says of the page.
  bool check_key(std::string_view key, std::size_t index, bool numeric,
                 const std::optional<std::string_view>& previous, const place& at, std::string_view where) {
    if (numeric && key.size() != sizeof(std::uint64_t)) {
      problem(where, at.page, fmt::format("the key of its node {} has {} bytes", index, key.size()));
      return false;
    }
    if ((previous && !less(numeric, *previous, key)) || (!at.low.empty() && less(numeric, key, at.low))) {
      problem(where, at.page, fmt::format("the key of its node {} is out of order", index));
      return false;
    }
    return true;
  }

  result<void> walk_branch(const place& at, bool numeric, std::string_view where, std::vector<place>& left,
                           counts& seen) {
    ++seen.branch;
    const std::size_t count = nodes_in(page_);
    if (count < 2) problem(where, at.page, fmt::format("a branch with {} children", count));
    std::vector<place> children;
    std::optional<std::string_view> previous;
    for (std::size_t i = 0; i < count; ++i) {
      const auto n = node_at(i, at.page, where);
      if (!n) return {};
      // The first key of a branch stands for "everything before the second" and is not kept up to date.
      if (i > 0) {
        if (!check_key(n->key, i, numeric, previous, at, where)) return {};
        previous = n->key;
      }
      const std::uint64_t child = n->low | std::uint64_t{n->high} << 16 | std::uint64_t{n->flags} << 32;
      children.push_back({child, at.depth + 1, i > 0 ? std::string{n->key} : at.low});
    }
    left.insert(left.end(), std::make_move_iterator(children.rbegin()),
                std::make_move_iterator(children.rend()));
    return {};
  }

  result<void> walk_leaf(const place& at, content what, bool numeric, const std::string& where,
                         std::optional<std::string>& previous, counts& seen) {
    ++seen.leaf;
    const std::size_t count = nodes_in(page_);
    if (count == 0) problem(where, at.page, "an empty leaf");
    for (std::size_t i = 0; i < count && !full(); ++i) {
      const auto n = node_at(i, at.page, where);
      if (!n) return {};
      ++seen.entries;
      if (!check_key(n->key, i, numeric, previous, at, where)) return {};
      previous = n->key;
      const std::size_t size = n->low | std::size_t{n->high} << 16;
      const bool big = (n->flags & big_data) != 0;
      if (!big && size > n->room) {
        problem(where, at.page, fmt::format("the value of its node {} has {} bytes", i, size));
        return {};
      }
      if (big && n->room < sizeof(std::uint64_t)) {
        problem(where, at.page, fmt::format("its node {} lies outside of it", i));
        return {};
      }
      switch (what) {
        case content::values:
          // Values that do not fit a page are never written to tables.
          if (n->flags != 0) {
            problem(where, at.page, fmt::format("its node {} is of kind {:#x}", i, n->flags));
            return {};
          }
          break;
        case content::large_values:
          if ((n->flags & ~big_data) != 0) {
            problem(where, at.page, fmt::format("its node {} is of kind {:#x}", i, n->flags));
            return {};
          }
          if (big && !take_overflow(load<std::uint64_t>(n->value), size, where, seen)) return {};
          break;
        case content::tables: {
          if (n->flags != sub_tree || size != sizeof(tree)) {
            problem(where, at.page, fmt::format("its node {} is no table", i));
            return {};
          }
          const tree table = load<tree>(n->value);
          if (table.flags != 0) {
            problem(where, at.page,
                    fmt::format("table '{}' has the unknown flags {:#x}", n->key, table.flags));
            return {};
          }
          tables_.emplace_back(n->key, table);
          break;
        }
        case content::free_pages:
          if ((n->flags & ~big_data) != 0) {
            problem(where, at.page, fmt::format("its node {} is of kind {:#x}", i, n->flags));
            return {};
          }
          if (auto done = big ? walk_overflow(load<std::uint64_t>(n->value), size, where, seen)
                              : take_free_pages(n->value, size, at.page, where);
              !done) {
            return done;
          }
          break;
      }
    }
    return {};
  }

  /// Takes the pages of a value that lies on pages of its own; returns how many, 0 where they cannot be.
  std::uint64_t take_overflow(std::uint64_t page, std::size_t size, std::string_view where, counts& seen) {
    const std::uint64_t pages = (page_header_size + size + page_size_ - 1) / page_size_;
    if (page >= page_end_ || pages > page_end_ - page) {
      problem(where, page, fmt::format("its {} pages lie beyond the end, {}", pages, page_end_));
      return 0;
    }
    for (std::uint64_t i = 0; i < pages; ++i) {
      if (!take(page + i, page_end_, where)) return 0;
    }
    seen.overflow += pages;
    return pages;
  }

  /// An entry of the list of free pages that lies on pages of its own.
  result<void> walk_overflow(std::uint64_t page, std::size_t size, std::string_view where, counts& seen) {
    const std::uint64_t pages = take_overflow(page, size, where, seen);
    if (pages == 0) return {};
    std::vector<std::byte> run(static_cast<std::size_t>(pages) * page_size_);
    if (auto done = read_pages(page, pages, run, where); !done || !*done) {
      if (!done) return done.error();
      return {};
    }
    if (!check_page(run, page, overflow, where)) return {};
    if (load<std::uint32_t>(run.data() + 12) != pages) {
      problem(
          where, page,
          fmt::format("it says that it has {} pages, not {}", load<std::uint32_t>(run.data() + 12), pages));
      return {};
    }
    return take_free_pages(run.data() + page_header_size, size, page, where);
  }

  /// An entry of the list of free pages: their number, then the pages in falling order.
  result<void> take_free_pages(const std::byte* value, std::size_t size, std::uint64_t page,
                               std::string_view where) {
    const std::uint64_t count = size < 8 ? 0 : load<std::uint64_t>(value);
    if (size < 8 || size % 8 != 0 || count > size / 8 - 1) {
      problem(where, page, fmt::format("an entry of {} bytes cannot hold {} pages", size, count));
      return {};
    }
    std::uint64_t above = no_page;
    for (std::uint64_t i = 1; i <= count; ++i) {
      const auto free = load<std::uint64_t>(value + 8 * i);
      if (free >= above) {
        problem(where, page, "its pages are out of order");
        return {};
      }
      above = free;
      if (!take(free, free_page_end_, where)) return {};
    }
    return {};
  }

  const int fd_;
  const std::filesystem::path& file_;
  const std::size_t page_size_;
  const std::uint64_t file_pages_;
  const std::uint64_t page_end_;       ///< behind the last page that can be read
  const std::uint64_t free_page_end_;  ///< behind the last page that can be free
  std::vector<bool> used_;             ///< of the pages in the file
  std::uint64_t beyond_file_ = 0;      ///< free pages that the file does not reach
  std::vector<std::byte> page_;
  std::vector<std::pair<std::string, tree>> tables_;
  page_walk found_;
};

/// The size of a file that must be an ordinary one.
result<std::uint64_t> size_of(int fd, const std::filesystem::path& file) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error(errno, "examine", file);
  if (!S_ISREG(info.st_mode)) return damaged(file, "it is no file");
  return static_cast<std::uint64_t>(info.st_size);
}

/// The shape that a meta page gives a file of this size.
result<main_file_shape> make_shape(const meta_page& m, std::uint64_t file_size,
                                   const std::filesystem::path& file) {
  main_file_shape shape;
  shape.page_size = m.free.pad;
  shape.file_pages = file_size / shape.page_size;
  shape.last_page = m.last_page;
  shape.transaction = m.transaction;
  shape.trees = {std::bit_cast<std::array<std::byte, 48>>(m.free),
                 std::bit_cast<std::array<std::byte, 48>>(m.main)};
  if (shape.file_pages < meta_pages) return damaged(file, "it ends before its second page");
  // LMDB multiplies this by the page size.
  if (shape.last_page < meta_pages - 1 || shape.last_page >= std::uint64_t{1} << 47) {
    return damaged(file, fmt::format("{} as its last page is impossible", shape.last_page));
  }
  for (const tree& t : {m.free, m.main}) {
    if (t.root != no_page &&
        (t.root < meta_pages || t.root > shape.last_page || t.root >= shape.file_pages)) {
      return damaged(file, fmt::format("its {} pages do not hold its root, page {}; it was cut off",
                                       shape.file_pages, t.root));
    }
  }
  return shape;
}

}  // namespace

result<main_file_shape> check_main_file(const std::filesystem::path& data_file) {
  const auto fd = open_file(data_file);
  if (!fd) return fd.error();
  const auto size = size_of(fd->get(), data_file);
  if (!size) return size.error();

  std::optional<meta_page> newest;
  for (std::uint64_t i = 0; i < meta_pages; ++i) {
    std::array<std::byte, meta_page_head_size> head{};
    const int failure = read_at(fd->get(), newest ? i * newest->free.pad : 0, head.data(), head.size());
    if (failure > 0) return system_error(failure, "read", data_file);
    if (failure < 0) return damaged(data_file, fmt::format("it ends before meta page {}", i));
    if (const auto fault = fault_of(head); !fault.empty()) return damaged(data_file, fault);
    const meta_page m = meta_of(head);
    if (newest && m.free.pad != newest->free.pad) {
      return damaged(data_file, fmt::format("pages of {} bytes are impossible", m.free.pad));
    }
    if (!newest || m.transaction > newest->transaction) newest = m;
  }
  return make_shape(*newest, *size, data_file);
}

result<main_file_shape> check_snapshot(const std::filesystem::path& data_file,
                                       std::span<const std::byte> saved) {
  if (saved.size() < meta_page_head_size) return damaged(data_file, "a saved meta page is too short");
  const auto head = saved.first<meta_page_head_size>();
  if (const auto fault = fault_of(head); !fault.empty()) {
    return damaged(data_file, fmt::format("as a saved meta page has it, {}", fault));
  }
  const auto fd = open_file(data_file);
  if (!fd) return fd.error();
  const auto size = size_of(fd->get(), data_file);
  if (!size) return size.error();
  return make_shape(meta_of(head), *size, data_file);
}

result<page_walk> walk_main_file(const std::filesystem::path& data_file, const main_file_shape& shape) {
  const auto fd = open_file(data_file);
  if (!fd) return fd.error();
  return walk{fd->get(), data_file, shape}.run(shape, walk::content::tables);
}

result<void> verify_segment_file(const std::filesystem::path& file) {
  const auto shape = check_main_file(file);
  if (!shape) return shape.error();
  if (const tree main = std::bit_cast<tree>(shape->trees[1]); main.flags != 0) {
    return damaged(file, fmt::format("its table has the unknown flags {:#x}", main.flags));
  }
  const auto fd = open_file(file);
  if (!fd) return fd.error();
  const auto walked = walk{fd->get(), file, *shape}.run(*shape, walk::content::large_values);
  if (!walked) return walked.error();
  if (!walked->problems.empty()) return damaged(file, walked->problems.front().what);
  return {};
}

result<void> verify_main_file(const std::filesystem::path& data_file) {
  const auto shape = check_main_file(data_file);
  if (!shape) return shape.error();
  const auto walked = walk_main_file(data_file, *shape);
  if (!walked) return walked.error();
  if (walked->problems.empty()) return {};
  const auto now = check_main_file(data_file);
  if (now && now->transaction != shape->transaction) return {};
  return damaged(data_file, walked->problems.front().what);
}

}  // namespace levada::storage
