#include "bus/table_scan.hpp"

#include <fmt/format.h>

#include <span>
#include <string_view>
#include <utility>

#include "storage/host_table.hpp"
#include "storage/row.hpp"

namespace levada {
namespace {

/// Sums entries up in their order by key, or against it.
class range_hash {
 public:
  void add(const storage::host_scanner::entry& entry) noexcept {
    // Of each entry by itself, and added: a scan in reverse comes to the same.
    sum_ += mixed(hash(entry.key) * 3 + hash(entry.value));
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return sum_; }

 private:
  static std::uint64_t hash(std::string_view text) noexcept {
    return storage::records_hash(std::as_bytes(std::span{text.data(), text.size()}));
  }
  static std::uint64_t mixed(std::uint64_t n) noexcept {
    return storage::records_hash(std::as_bytes(std::span{&n, 1}));
  }
  std::uint64_t sum_ = 0;
};

/// The keys of `own` in a range, one after the other.
class own_keys {
 public:
  own_keys(const table_writes& own, const key_range& range, bool reverse)
      : first_{own.lower_bound(range.lower())},
        last_{range.upper().empty() ? own.end() : own.lower_bound(range.upper())},
        reverse_{reverse} {
    if (!range.upper().empty() && range.upper() <= range.lower()) last_ = first_;
  }
  [[nodiscard]] const table_writes::value_type* now() const {
    if (first_ == last_) return nullptr;
    return reverse_ ? &*std::prev(last_) : &*first_;
  }
  void next() {
    if (reverse_) {
      --last_;
    } else {
      ++first_;
    }
  }

 private:
  table_writes::const_iterator first_;
  table_writes::const_iterator last_;
  bool reverse_;
};

}  // namespace

result<std::uint64_t> hash_range(const storage::transaction& txn, const storage::main_tables& tables,
                                 std::uint32_t table, const read_range& range) {
  auto scanner = storage::host_scanner::open(txn, tables, table, {range.lower, range.upper});
  if (!scanner) return scanner.error();
  range_hash hash;
  for (;;) {
    auto entry = scanner->next();
    if (!entry) return entry.error();
    if (!*entry) return hash.value();
    hash.add(**entry);
  }
}

result<table_scan> scan_table(const storage::transaction& txn, const storage::main_tables& tables,
                              const table_slot& table, const key_range& range, const scan_options& options,
                              const table_writes& own) {
  auto scanner =
      storage::host_scanner::open(txn, tables, table.id, {range.lower(), range.upper(), options.reverse});
  if (!scanner) return scanner.error();
  table_scan found;
  found.read = {range.lower(), range.upper()};
  range_hash hash;
  own_keys mine{own, range, options.reverse};
  auto stored = scanner->next();
  std::size_t bytes = 0;
  std::string last;
  for (;;) {
    if (!stored) return stored.error();
    const auto* const written = mine.now();
    if (!*stored && written == nullptr) break;
    const bool takes_stored =
        *stored && (written == nullptr ||
                    (options.reverse ? (*stored)->key > written->first : (*stored)->key < written->first));
    const bool hides = written != nullptr && *stored && (*stored)->key == written->first;
    const std::string_view key = takes_stored ? (*stored)->key : written->first;
    const std::string* const value =
        takes_stored ? &(*stored)->value : (written->second ? &*written->second : nullptr);
    if (value != nullptr) {
      const std::size_t size = key.size() + value->size();
      const bool full = found.entries.size() == options.entries_max ||
                        (!found.entries.empty() && bytes + size > options.bytes_max);
      if (full) {
        // What lies behind the last one, which counts, has not been read.
        if (options.reverse) {
          found.read.lower = last;
        } else {
          found.read.upper = last.substr(0, last.size() - 1) + '\1';  // as key_range::after
        }
        break;
      }
      auto decoded = storage::key_of_host(key);
      if (!decoded)
        return error{errc::damaged, fmt::format("scan table '{}': a key cannot be read", table.name)};
      found.entries.push_back({std::move(*decoded), *value});
      bytes += size;
    }
    last = key;
    if (takes_stored || hides) {
      hash.add(**stored);
      stored = scanner->next();
    }
    if (!takes_stored) mine.next();
  }
  found.read.hash = hash.value();
  return found;
}

}  // namespace levada
